"""Workers as their users write them: the SDK's decorator, sync and async, good and bad days."""

import asyncio
import time
from typing import Union

from conductor.client.context.task_context import TaskInProgress, get_task_context
from conductor.client.worker.exception import NonRetryableException
from conductor.client.worker.worker_task import worker_task
from conductor.client.workflow.task.simple_task import SimpleTask, simple_task

from conductor.client.workflow.conductor_workflow import ConductorWorkflow
from story import clients, completed, quick_task, run, shown, start, task_named, wait_for_end, workers

HELLO = quick_task("py_hello", retry_count=2, response_timeout_seconds=17)


@worker_task(task_definition_name="py_hello", register_task_def=True, task_def=HELLO, thread_count=4)
def hello(name: str, times: int = 1) -> dict:
    get_task_context().add_log(f"greeting {name}")
    return {"greeting": " ".join(["hello " + name] * times)}


@worker_task(task_definition_name="py_async", thread_count=10)
async def slowly(number: int) -> dict:
    await asyncio.sleep(0.01)
    return {"square": number * number}


@worker_task(task_definition_name="py_fails_once")
def fails_once(value: int) -> dict:
    if get_task_context().get_retry_count() == 0:
        raise RuntimeError("not the first time")
    return {"value": value}


@worker_task(task_definition_name="py_never")
def never(value: int) -> dict:
    raise NonRetryableException("this will never work")


@worker_task(task_definition_name="py_async_fails")
async def async_fails(value: int) -> dict:
    raise ValueError("async and unlucky")


@worker_task(task_definition_name="py_comes_back")
def comes_back(job: str) -> Union[dict, TaskInProgress]:
    polls = get_task_context().get_poll_count()
    if polls < 3:
        return TaskInProgress(callback_after_seconds=1, output={"seen": polls})
    return {"job": job, "polls": polls}


@worker_task(task_definition_name="py_long", lease_extend_enabled=True)
def takes_long(seconds: float) -> dict:
    time.sleep(seconds)
    return {"slept": seconds}


@worker_task(task_definition_name="py_blue", domain="blue")
def blue(value: int) -> dict:
    return {"colour": "blue", "value": value}


def define():
    c = clients()
    metadata, executor = c.get_metadata_client(), c.get_workflow_executor()
    for definition in [
        quick_task("py_async"),
        quick_task("py_fails_once", retry_count=2),
        quick_task("py_never", retry_count=5),
        quick_task("py_async_fails", retry_count=1),
        quick_task("py_comes_back"),
        # The worker sleeps longer than this; without its heartbeats, at four fifths of it, the task would time out.
        quick_task("py_long", response_timeout_seconds=8),
        quick_task("py_blue"),
    ]:
        metadata.register_task_def(definition)

    chain = ConductorWorkflow(executor, "py_chain", 1)
    first = SimpleTask("py_hello", "first")
    first.input_parameters.update({"name": "${workflow.input.name}", "times": 2})
    second = simple_task("py_async", "second", {"number": "${workflow.input.number}"})
    third = simple_task("py_fails_once", "third", {"value": second.output("square")})
    back = simple_task("py_comes_back", "back", {"job": "j"})
    long = simple_task("py_long", "long", {"seconds": 10})
    chain >> first >> second >> third >> back >> long
    chain.output_parameters({"said": first.output("greeting"), "square": third.output("value"), "slept": long.output("slept")})
    chain.register(overwrite=True)
    for task in ["py_never", "py_async_fails"]:
        single = ConductorWorkflow(executor, task + "_flow", 1)
        single >> simple_task(task, "only", {"value": 1})
        single.register(overwrite=True)
    coloured = ConductorWorkflow(executor, "py_coloured", 1)
    coloured >> simple_task("py_blue", "only", {"value": 5})
    coloured.register(overwrite=True)


def a_chain_of_workers_ends_well():
    c = clients()
    client = c.get_workflow_client()
    found = completed(wait_for_end(client, start(client, "py_chain", {"name": "Ada", "number": 12}), 60))
    assert found.output == {"said": "hello Ada hello Ada", "square": 144, "slept": 10}, found.output
    third = [task for task in found.tasks if task.reference_task_name == "third"]
    assert [task.status for task in third] == ["FAILED", "COMPLETED"], shown(found)
    assert "not the first time" in third[0].reason_for_incompletion, shown(found)
    back = task_named(found, "back")
    assert back.output_data["polls"] == 3, shown(found)
    assert back.end_time - back.start_time >= 1900, "two callbacks of a second each"
    long = task_named(found, "long")
    assert long.retry_count == 0 and long.end_time - long.start_time >= 9900, "one attempt, longer than its response timeout"
    logs = c.get_task_client().get_task_logs(task_named(found, "first").task_id)
    assert [line.log for line in logs] == ["greeting Ada"], logs
    assert abs(logs[0].created_time / 1000 - time.time()) < 300, "milliseconds"
    trace = c.get_task_client().get_task_logs(third[0].task_id)
    assert any("RuntimeError" in line.log for line in trace), trace
    assert abs(trace[0].created_time / 1000 - time.time()) < 300, "milliseconds here, too, though the SDK sends seconds"


def failures_are_what_workers_say():
    client = clients().get_workflow_client()
    terminal = wait_for_end(client, start(client, "py_never_flow"))
    assert terminal.status == "FAILED", shown(terminal)
    assert [task.status for task in terminal.tasks] == ["FAILED_WITH_TERMINAL_ERROR"], "no retry of what can never work"
    assert "this will never work" in terminal.reason_for_incompletion, shown(terminal)
    failing = wait_for_end(client, start(client, "py_async_fails_flow"))
    assert failing.status == "FAILED" and [task.status for task in failing.tasks] == ["FAILED", "FAILED"], shown(failing)
    assert "async and unlucky" in failing.tasks[1].reason_for_incompletion, shown(failing)


def domains_choose_the_worker():
    c = clients()
    client = c.get_workflow_client()
    found = completed(wait_for_end(client, start(client, "py_coloured", task_to_domain={"py_blue": "blue"})))
    only = task_named(found, "only")
    assert only.domain == "blue" and only.output_data == {"colour": "blue", "value": 5}, shown(found)


def the_definition_that_the_worker_registered_is_there():
    definition = clients().get_metadata_client().get_task_def("py_hello")
    fields = (definition.retry_count, definition.response_timeout_seconds) if not isinstance(definition, dict) else (
        definition["retryCount"], definition["responseTimeoutSeconds"])
    assert fields == (2, 17), definition


def many_at_once():
    client = clients().get_workflow_client()
    ids = [start(client, "py_async_square", {"number": number}) for number in range(50)]
    for number, workflow_id in enumerate(ids):
        found = completed(wait_for_end(client, workflow_id, 60))
        assert found.output == {"square": number * number}, found.output


def define_squares():
    executor = clients().get_workflow_executor()
    flow = ConductorWorkflow(executor, "py_async_square", 1)
    task = simple_task("py_async", "only", {"number": "${workflow.input.number}"})
    flow >> task
    flow.output_parameters({"square": task.output("square")})
    flow.register(overwrite=True)


if __name__ == "__main__":
    with workers():
        run(
            define,
            a_chain_of_workers_ends_well,
            failures_are_what_workers_say,
            domains_choose_the_worker,
            the_definition_that_the_worker_registered_is_there,
            define_squares,
            many_at_once,
        )
