"""Signals to waiting workflows, and workflows that are executed while the caller waits."""

import threading
import time

from conductor.client.http.models import StartWorkflowRequest, TaskResult
from conductor.client.http.models.workflow_state_update import WorkflowStateUpdate
from conductor.client.workflow.conductor_workflow import ConductorWorkflow
from conductor.client.workflow.task.inline import InlineTask
from conductor.client.workflow.task.simple_task import simple_task
from conductor.client.workflow.task.wait_task import WaitTask
from conductor.client.worker.worker_task import worker_task
from story import clients, completed, quick_task, refused, run, shown, start, wait_for_end, wait_for_task, workers


@worker_task(task_definition_name="pg_double", register_task_def=True, task_def=quick_task("pg_double"), poll_timeout=2000)
def double(value: int) -> dict:
    return {"value": value * 2}


def define():
    executor = clients().get_workflow_executor()
    waiting = ConductorWorkflow(executor, "pg_waiting", 1)
    waiting >> WaitTask("answer") >> InlineTask("after", "$.word + '!'", bindings={"word": "${answer.output.word}"}) >> WaitTask("more")
    waiting.output_parameters({"said": "${after.output.result}", "more": "${more.output.word}", "kept": "${workflow.variables.kept}"})
    waiting.register(overwrite=True)
    quick = ConductorWorkflow(executor, "pg_quick", 1)
    quick >> simple_task("pg_double", "double", {"value": "${workflow.input.value}"})
    quick.output_parameters({"value": "${double.output.value}"})
    quick.register(overwrite=True)


def an_update_by_reference_answers_a_wait():
    c = clients()
    client, tasks, executor = c.get_workflow_client(), c.get_task_client(), c.get_workflow_executor()
    workflow_id = start(client, "pg_waiting")
    wait_for_task(client, workflow_id, "answer", {"IN_PROGRESS"})
    executor.update_task_by_ref_name({"word": "hello"}, workflow_id, "answer", "COMPLETED")
    wait_for_task(client, workflow_id, "more", {"IN_PROGRESS"})
    found = tasks.update_task_sync(workflow_id, "more", "COMPLETED", {"word": "bye"})
    assert found.workflow_id == workflow_id, found
    assert completed(wait_for_end(client, workflow_id)).output == {"said": "hello!", "more": "bye", "kept": None}
    refused(404, lambda: tasks.update_task_sync(workflow_id, "nothing", "COMPLETED", {}))


def a_signal_answers_whatever_waits():
    c = clients()
    client, executor = c.get_workflow_client(), c.get_workflow_executor()
    workflow_id = start(client, "pg_waiting")
    wait_for_task(client, workflow_id, "answer", {"IN_PROGRESS"})
    answer = executor.signal(workflow_id, "COMPLETED", {"word": "yes"}, return_strategy="BLOCKING_TASK")
    assert answer.response_type == "BLOCKING_TASK" and answer.reference_task_name == "more", answer
    executor.signal_async(workflow_id, "COMPLETED", {"word": "no"})
    assert completed(wait_for_end(client, workflow_id)).output == {"said": "yes!", "more": "no", "kept": None}


def executed_while_the_caller_waits():
    c = clients()
    run_ = c.get_workflow_client().execute_workflow(
        StartWorkflowRequest(name="pg_quick", version=1, input={"value": 21}), request_id="r-1", wait_for_seconds=20)
    assert (run_.status, run_.output) == ("COMPLETED", {"value": 42}), run_
    run_ = c.get_workflow_executor().execute("pg_quick", 1, {"value": 5}, wait_for_seconds=20)
    assert (run_.status, run_.output) == ("COMPLETED", {"value": 10}), run_


def executing_answers_at_a_wait_and_when_time_is_up():
    c = clients()
    client = c.get_workflow_client()
    began = time.monotonic()
    run_ = client.execute_workflow(
        StartWorkflowRequest(name="pg_waiting", version=1), wait_until_task_ref="answer", wait_for_seconds=20)
    assert run_.status == "RUNNING" and time.monotonic() - began < 5, (run_, time.monotonic() - began)
    client.terminate_workflow(run_.workflow_id)
    nobody = ConductorWorkflow(c.get_workflow_executor(), "pg_nobody", 1)
    c.get_metadata_client().register_task_def(quick_task("pg_nobody"))
    nobody >> simple_task("pg_nobody", "nobody", {})
    nobody.register(overwrite=True)
    began = time.monotonic()
    run_ = client.execute_workflow(StartWorkflowRequest(name="pg_nobody", version=1), wait_for_seconds=1)
    assert run_.status == "RUNNING" and 0.9 < time.monotonic() - began < 5, (run_, time.monotonic() - began)
    client.terminate_workflow(run_.workflow_id)


def executing_says_which_task_blocks():
    client = clients().get_workflow_client()
    answer = client.execute_workflow_with_return_strategy(
        StartWorkflowRequest(name="pg_waiting", version=1), wait_for_seconds=10, return_strategy="BLOCKING_TASK")
    assert answer.response_type == "BLOCKING_TASK" and answer.reference_task_name == "answer", answer
    client.terminate_workflow(answer.target_workflow_id)


def a_built_workflow_is_called_like_a_function():
    made = ConductorWorkflow(clients().get_workflow_executor(), "pg_called", 1)
    made >> simple_task("pg_double", "double", {"value": "${workflow.input.value}"})
    made.output_parameters({"value": "${double.output.value}"})
    made.register(overwrite=True)
    found = made(value=8)
    assert (found.status, found.output) == ("COMPLETED", {"value": 16}), found


def variables_and_state_change_from_outside():
    c = clients()
    client = c.get_workflow_client()
    workflow_id = start(client, "pg_waiting")
    answer = wait_for_task(client, workflow_id, "answer", {"IN_PROGRESS"})
    client.update_variables(workflow_id, {"kept": "a"})
    assert client.get_workflow(workflow_id).variables == {"kept": "a"}
    update = WorkflowStateUpdate(
        task_reference_name="answer", variables={"kept": "b"},
        task_result=TaskResult(workflow_instance_id=workflow_id, task_id=answer.task_id, status="COMPLETED", output_data={"word": "x"}))
    run_ = client.update_state(workflow_id, update, wait_until_task_ref_names=["more"], wait_for_seconds=5)
    assert run_.variables == {"kept": "b"}, run_
    c.get_workflow_executor().signal_async(workflow_id, "COMPLETED", {"word": "y"})
    assert completed(wait_for_end(client, workflow_id)).output == {"said": "x!", "more": "y", "kept": "b"}


if __name__ == "__main__":
    with workers():
        run(
            define,
            an_update_by_reference_answers_a_wait,
            a_signal_answers_whatever_waits,
            executed_while_the_caller_waits,
            executing_answers_at_a_wait_and_when_time_is_up,
            executing_says_which_task_blocks,
            a_built_workflow_is_called_like_a_function,
            variables_and_state_change_from_outside,
        )
