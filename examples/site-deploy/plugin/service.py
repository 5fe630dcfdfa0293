#!/usr/bin/env python3
"""The HTTP server of a site, and starting, finding and stopping it.

Run as a program it serves: `service.py DIRECTORY RUN_FILE VERSION DIGEST`. It picks a free port of the loopback
interface and writes RUN_FILE when it answers.
"""

import functools
import http.server
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import content
from talk import Failure

START_DEADLINE_SECONDS = 10.0
POLL_SECONDS = 0.02


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files, and their list at /.files."""

    def do_GET(self):
        if self.path != "/.files":
            super().do_GET()
            return
        body = json.dumps(content.names_in(pathlib.Path(self.directory))).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve(directory, run_file, version, digest):
    handler = functools.partial(Handler, directory=directory)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    state = {
        "pid": os.getpid(),
        "started": started_at(os.getpid()),
        "url": f"http://127.0.0.1:{server.server_port}/",
        "version": version,
        "digest": digest,
    }
    partial = pathlib.Path(f"{run_file}.new")
    partial.write_text(json.dumps(state))
    partial.rename(run_file)
    server.serve_forever()


def launch(home, directory, wanted):
    """Starts the server in a session of its own and waits until it has written its run file."""
    home.mkdir(parents=True, exist_ok=True)
    (home / "run.json").unlink(missing_ok=True)
    command = [sys.executable, __file__, str(directory), str(home / "run.json"), wanted["version"], wanted["digest"]]
    with open(home / "server.log", "ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    deadline = time.monotonic() + START_DEADLINE_SECONDS
    while time.monotonic() < deadline:
        state = running(home)
        if state:
            return state
        if process.poll() is not None:
            raise Failure("StartError", f"the server ended with {process.returncode}; its log is {home / 'server.log'}")
        time.sleep(POLL_SECONDS)
    process.kill()
    raise Failure("StartError", f"the server was not ready after {START_DEADLINE_SECONDS} s")


def running(home):
    """What runs here according to the run file, if that process is still the same."""
    try:
        state = json.loads((home / "run.json").read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return state if started_at(state["pid"]) == state["started"] else None


def stop(home, grace):
    """Ends the server: TERM, and KILL after the grace. Its process id, or None if it did not run."""
    state = running(home)
    (home / "run.json").unlink(missing_ok=True)
    if state is None:
        return None
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, grace)):
        try:
            os.kill(state["pid"], number)
        except ProcessLookupError:
            return state["pid"]
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if started_at(state["pid"]) != state["started"]:
                return state["pid"]
            time.sleep(POLL_SECONDS)
    raise Failure("StopError", f"process {state['pid']} does not end")


def started_at(pid):
    """When a process was started, in ticks since boot; a process id alone may belong to another one later."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, ticks = fields[0], int(fields[19])
    return None if state in "ZX" else ticks


if __name__ == "__main__":
    serve(*sys.argv[1:5])
