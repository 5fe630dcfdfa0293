#!/usr/bin/env python3
"""Checks that something answers. The task is on standard input; what was learned goes to descriptor 3 as JSON lines."""

import http.client
import json
import os
import socket
import sys
import time
import urllib.error
import urllib.request

TIMEOUT_SECONDS = 5.0
BODY_BYTES_MAX = 4 * 1024 * 1024
EXIT_FAILED = 1
EXIT_TRY_AGAIN = 75


class CheckFailed(Exception):
    """What was checked is not as it should be. It may be better at the next attempt."""


def event(kind, **fields):
    os.write(3, (json.dumps({"type": kind, **fields}) + "\n").encode())


def milliseconds_since(begin):
    return round((time.monotonic() - begin) * 1000, 1)


def check_http(given):
    begin = time.monotonic()
    timeout = float(given.get("timeoutSeconds") or TIMEOUT_SECONDS)
    try:
        answer = urllib.request.urlopen(given["url"], timeout=timeout)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        status, body = answer.status, answer.read(BODY_BYTES_MAX)
    ms = milliseconds_since(begin)
    event("output", values={"status": status, "ms": ms, "bytes": len(body)})
    event("metric", name="answer_ms", value=ms)
    wanted = int(given.get("status") or 200)
    if status != wanted:
        raise CheckFailed(f"{given['url']} answered {status}; expected {wanted}")
    if given.get("contains") and given["contains"].encode() not in body:
        raise CheckFailed(f"{given['url']} has no {given['contains']!r} in its answer")
    if given.get("maxMs") and ms > float(given["maxMs"]):
        raise CheckFailed(f"{given['url']} took {ms} ms; at most {given['maxMs']} are allowed")
    print(f"{given['url']} answered {status} in {ms} ms")


def check_tcp(given):
    begin = time.monotonic()
    address = (given["host"], int(given["port"]))
    socket.create_connection(address, timeout=float(given.get("timeoutSeconds") or TIMEOUT_SECONDS)).close()
    ms = milliseconds_since(begin)
    event("output", values={"ms": ms})
    print(f"{address[0]}:{address[1]} took a connection in {ms} ms")


def main():
    task = json.load(sys.stdin)
    check = {"http": check_http, "tcp": check_tcp}[task["operation"]]
    try:
        check(task["input"])
    except (KeyError, ValueError, TypeError) as error:
        event("error", **{"class": "BadInput", "message": f"the input is not right: {error!r}", "retryable": False})
        return EXIT_FAILED
    except (CheckFailed, OSError, http.client.HTTPException) as error:
        event("error", **{"class": type(error).__name__, "message": str(error)})
        return EXIT_TRY_AGAIN
    return 0


if __name__ == "__main__":
    sys.exit(main())
