"""What the programs beside this one have in common: clients, waiting with a deadline, workers that run while needed.

Each program is one journey of somebody who uses the Conductor SDK as it comes from PyPI. It needs a running manager,
and finds it as every user of the SDK does:

    CONDUCTOR_SERVER_URL=http://127.0.0.1:8080/api CONDUCTOR_AUTH_KEY=any CONDUCTOR_AUTH_SECRET=TOKEN python workers.py

It ends with 0 when everything was as it should be, and with what was not otherwise.
"""

import contextlib
import json
import signal
import sys
import time

from conductor.client.automator.task_handler import TaskHandler
from conductor.client.configuration.configuration import Configuration
from conductor.client.http.models import StartWorkflowRequest, TaskDef
from conductor.client.http.rest import ApiException
from conductor.client.orkes_clients import OrkesClients

# Names are made with this, so that a program can run twice against one manager.
RUN = format(int(time.time() * 1000), "x")
# How often a condition is looked at, in seconds.
LOOK_EVERY = 0.05
OVER = {"COMPLETED", "FAILED", "TERMINATED", "TIMED_OUT"}


def named(name):
    """A name that no earlier run of the program has used."""
    return f"{name}_{RUN}"


def clients():
    return OrkesClients(configuration=Configuration())


def until(what, seconds, look):
    """Looks until `look` gives something; what that is. Says what it waited for when it waits in vain."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain until {what}")
        time.sleep(LOOK_EVERY)


def wait_for_end(client, workflow_id, seconds=30):
    """The workflow with its tasks, once it is over."""
    try:
        return until(
            f"workflow {workflow_id} is over",
            seconds,
            lambda: (found := client.get_workflow(workflow_id, include_tasks=True)).status in OVER and found,
        )
    except AssertionError as error:
        found = client.get_workflow(workflow_id, include_tasks=True)
        raise AssertionError(f"{error}: {shown(found)}") from None


def wait_for_task(client, workflow_id, reference, statuses, seconds=20):
    """The newest attempt at a step, once its status is one of `statuses`."""

    def look():
        tasks = client.get_workflow(workflow_id, include_tasks=True).tasks
        newest = [task for task in tasks if task.reference_task_name == reference]
        return newest and newest[-1].status in statuses and newest[-1]

    try:
        return until(f"{reference} is one of {statuses}", seconds, look)
    except AssertionError as error:
        found = client.get_workflow(workflow_id, include_tasks=True)
        raise AssertionError(f"{error}: {shown(found)}") from None


def shown(workflow):
    """Where a workflow stands, for people."""
    lines = [f"{workflow.status} {workflow.reason_for_incompletion or ''} output={json.dumps(workflow.output, default=str)}"]
    for task in workflow.tasks or []:
        lines.append(
            f"  {task.reference_task_name} [{task.task_type}] {task.status} {task.reason_for_incompletion or ''}"
            f" input={json.dumps(task.input_data, default=str)} output={json.dumps(task.output_data, default=str)}"
        )
    return "\n".join(lines)


def completed(workflow):
    assert workflow.status == "COMPLETED", shown(workflow)
    return workflow


def task_named(workflow, reference):
    """The newest attempt at a step."""
    found = [task for task in workflow.tasks if task.reference_task_name == reference]
    assert found, f"there is no {reference}: {shown(workflow)}"
    return found[-1]


def start(client, name, input=None, **more):
    return client.start_workflow(StartWorkflowRequest(name=name, input=input or {}, **more))


def quick_task(name, **fields):
    """A task definition whose retries do not keep anybody waiting."""
    fields = {"retry_count": 0, "retry_delay_seconds": 0, "timeout_seconds": 60, "response_timeout_seconds": 30} | fields
    return TaskDef(name=name, **fields)


def refused(status, call):
    """The error of a call that must be refused with `status`."""
    try:
        answer = call()
    except ApiException as error:
        assert error.status == status, f"expected {status}: {error}"
        body = json.loads(error.body)
        assert body["status"] == status and body["message"], body
        return body
    raise AssertionError(f"expected {status}, but it was taken: {answer!r}")


@contextlib.contextmanager
def workers():
    """Runs every worker that the program declares with the SDK's decorator, each in processes of its own."""
    handler = TaskHandler(configuration=Configuration(), scan_for_annotated_workers=True)
    handler.start_processes()
    try:
        yield handler
    finally:
        handler.stop_processes()


def run(*steps):
    """Runs the steps of a journey one after the other, and says which is going on."""
    # A journey that hangs says where, before whoever runs it loses patience.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("asked to end"))
    for step in steps:
        began = time.monotonic()
        print(f"{step.__name__} …", flush=True)
        step()
        print(f"{step.__name__}: as it should be ({time.monotonic() - began:.1f} s)", flush=True)
    print("DONE", flush=True)
