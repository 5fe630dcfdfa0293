"""The plugin's side of the contract with the agent: a task on standard input, events as JSON lines on descriptor 3."""

import json
import os
import sys

EVENT_FD = 3
EXIT_FAILED = 1
EXIT_TRY_AGAIN = 75


class Failure(Exception):
    """Ends the operation with an error. Without `retryable` the task's definition decides whether it is tried again."""

    def __init__(self, kind, message, retryable=None):
        super().__init__(message)
        self.kind = kind
        self.retryable = retryable


def read_task():
    return json.load(sys.stdin)


def event(kind, **fields):
    line = json.dumps({"type": kind, **fields}) + "\n"
    try:
        os.write(EVENT_FD, line.encode())
    except OSError:
        # Run by hand without a descriptor 3: show what would have been said.
        sys.stdout.write(line)


def output(**values):
    event("output", values=values)


def runtime_properties(**values):
    event("runtime_properties", values=values)


def log(message):
    print(message, flush=True)


def fail(kind, message, retryable=None):
    fields = {} if retryable is None else {"retryable": retryable}
    event("error", **{"class": kind, "message": message, **fields})
    sys.exit(EXIT_TRY_AGAIN if retryable else EXIT_FAILED)
