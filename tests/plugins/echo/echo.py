#!/usr/bin/env python3
"""One JSON task per line on standard input; events on descriptor 3, the last of a task being "done"."""
import json
import os
import subprocess
import sys
import time

events = os.fdopen(3, "w", buffering=1)


def say(**event):
    events.write(json.dumps(event) + "\n")


for line in sys.stdin:
    task = json.loads(line)
    operation, success = task["operation"], True
    if operation == "echo":
        say(type="output", values=task["input"])
    elif operation == "fail":
        say(type="error", message="asked to fail", retryable=task["input"].get("retryable"))
        success = False
    elif operation == "crash":
        print("about to crash", file=sys.stderr, flush=True)
        os._exit(9)
    elif operation == "hang":
        time.sleep(3600)
    elif operation == "chatty":
        print("on stdout", flush=True)
        print("on stderr", file=sys.stderr, flush=True)
        say(type="log", message="on the event channel")
    elif operation == "daemonize":
        subprocess.Popen(["sleep", "3600"], start_new_session=True, close_fds=True)
    elif operation == "wrong-task":
        say(type="done", task_id="somebody-else", success=True)
    elif operation == "pid":
        say(type="output", values={"pid": os.getpid()})
    say(type="done", task_id=task["task_id"], success=success)
