"""Pause, resume, terminate, retry, restart, rerun, skip, and the same for many at once."""

from conductor.client.http.api.workflow_bulk_resource_api import WorkflowBulkResourceApi
from conductor.client.http.models import RerunWorkflowRequest, SkipTaskRequest, TaskResult
from conductor.client.workflow.conductor_workflow import ConductorWorkflow
from conductor.client.workflow.task.inline import InlineTask
from conductor.client.workflow.task.simple_task import simple_task
from conductor.client.workflow.task.sub_workflow_task import SubWorkflowTask
from story import clients, completed, quick_task, refused, run, shown, start, until, wait_for_end, wait_for_task


def define():
    c = clients()
    for name in ["pc_first", "pc_second"]:
        c.get_metadata_client().register_task_def(quick_task(name))
    made = ConductorWorkflow(c.get_workflow_executor(), "pc_flow", 1)
    made >> simple_task("pc_first", "first", {"n": "${workflow.input.n}"}) >> simple_task("pc_second", "second", {"n": "${first.output.n}"})
    made.output_parameters({"n": "${second.output.n}"})
    made.register(overwrite=True)
    cleanup = ConductorWorkflow(c.get_workflow_executor(), "pc_cleanup", 1)
    cleanup >> InlineTask("tidy", "$.why", bindings={"why": "${workflow.input.reason}"})
    cleanup.register(overwrite=True)
    guarded = ConductorWorkflow(c.get_workflow_executor(), "pc_guarded", 1).failure_workflow("pc_cleanup")
    guarded >> simple_task("pc_first", "first", {})
    guarded.register(overwrite=True)
    outer = ConductorWorkflow(c.get_workflow_executor(), "pc_outer", 1)
    outer >> SubWorkflowTask("inner", "pc_flow", 1)
    outer.register(overwrite=True)


def report(workflow_id, reference, status, output=None, reason=None):
    """What a worker would do with the open attempt of a step."""
    c = clients()
    task = wait_for_task(c.get_workflow_client(), workflow_id, reference, {"SCHEDULED", "IN_PROGRESS"})
    c.get_task_client().update_task(
        TaskResult(workflow_instance_id=workflow_id, task_id=task.task_id, status=status, output_data=output or {},
                   reason_for_incompletion=reason)
    )
    return task


def to_its_end(workflow_id):
    for reference in ["first", "second"]:
        report(workflow_id, reference, "COMPLETED", {"n": 1})
    return completed(wait_for_end(clients().get_workflow_client(), workflow_id))


def pause_and_resume():
    client = clients().get_workflow_client()
    workflow_id = start(client, "pc_flow", {"n": 1})
    client.pause_workflow(workflow_id)
    assert client.get_workflow_status(workflow_id).status == "PAUSED"
    report(workflow_id, "first", "COMPLETED", {"n": 2})
    found = client.get_workflow(workflow_id)
    assert [task.reference_task_name for task in found.tasks] == ["first"], "nothing new while paused: " + shown(found)
    client.resume_workflow(workflow_id)
    report(workflow_id, "second", "COMPLETED", {"n": 3})
    assert completed(wait_for_end(client, workflow_id)).output == {"n": 3}
    refused(409, lambda: client.pause_workflow(workflow_id))


def terminate():
    client = clients().get_workflow_client()
    workflow_id = start(client, "pc_flow")
    client.terminate_workflow(workflow_id, "no more", trigger_failure_workflow=False)
    found = wait_for_end(client, workflow_id)
    assert (found.status, found.reason_for_incompletion) == ("TERMINATED", "no more"), shown(found)
    assert [task.status for task in found.tasks] == ["CANCELED"], shown(found)


def terminate_and_clean_up():
    client = clients().get_workflow_client()
    workflow_id = start(client, "pc_guarded")
    client.terminate_workflow(workflow_id, "not wanted", trigger_failure_workflow=True)
    found = wait_for_end(client, workflow_id)
    assert found.status == "TERMINATED", shown(found)
    cleanup = completed(wait_for_end(client, found.output["conductor.failure_workflow"]))
    assert cleanup.output == {"result": "not wanted"}, shown(cleanup)


def retry_goes_on_where_it_failed():
    client = clients().get_workflow_client()
    workflow_id = start(client, "pc_flow", {"n": 1})
    report(workflow_id, "first", "COMPLETED", {"n": 2})
    report(workflow_id, "second", "FAILED", reason="bad luck")
    assert wait_for_end(client, workflow_id).status == "FAILED"
    client.retry_workflow(workflow_id)
    report(workflow_id, "second", "COMPLETED", {"n": 9})
    found = completed(wait_for_end(client, workflow_id))
    assert [task.status for task in found.tasks] == ["COMPLETED", "FAILED", "COMPLETED"], shown(found)
    refused(409, lambda: client.retry_workflow(workflow_id))


def retry_reaches_into_the_child_that_failed():
    client = clients().get_workflow_client()
    workflow_id = start(client, "pc_outer")
    child = until("the child is there", 10, lambda: wait_for_task(client, workflow_id, "inner", {"IN_PROGRESS"}).sub_workflow_id)
    report(child, "first", "FAILED", reason="bad luck inside")
    found = wait_for_end(client, workflow_id)
    assert found.status == "FAILED" and "bad luck inside" in found.reason_for_incompletion, shown(found)
    client.retry_workflow(workflow_id, resume_subworkflow_tasks=True)
    to_its_end(child)
    completed(wait_for_end(client, workflow_id))


def restart_begins_anew_under_the_same_id():
    client = clients().get_workflow_client()
    workflow_id = start(client, "pc_flow", {"n": 1})
    refused(409, lambda: client.restart_workflow(workflow_id))
    before = {task.task_id for task in to_its_end(workflow_id).tasks}
    client.restart_workflow(workflow_id, use_latest_def=True)
    after = {task.task_id for task in to_its_end(workflow_id).tasks}
    assert len(after) == 2 and not before & after, (before, after)


def rerun_from_a_task():
    client = clients().get_workflow_client()
    workflow_id = start(client, "pc_flow", {"n": 1})
    found = to_its_end(workflow_id)
    first, second = found.tasks
    answer = client.rerun_workflow(workflow_id, RerunWorkflowRequest(re_run_from_task_id=second.task_id, task_input={"n": 77}))
    assert answer == workflow_id, answer
    report(workflow_id, "second", "COMPLETED", {"n": 78})
    found = completed(wait_for_end(client, workflow_id))
    assert found.output == {"n": 78} and found.tasks[0].task_id == first.task_id, shown(found)
    assert found.tasks[-1].input_data["n"] == 77, shown(found)
    client.rerun_workflow(workflow_id, RerunWorkflowRequest(workflow_input={"n": 5}))
    assert wait_for_task(client, workflow_id, "first", {"SCHEDULED"}).input_data == {"n": 5}
    client.terminate_workflow(workflow_id)


def skip_a_step():
    client = clients().get_workflow_client()
    workflow_id = start(client, "pc_flow", {"n": 1})
    client.skip_task_from_workflow(workflow_id, "second", SkipTaskRequest(task_output={"n": 4}))
    report(workflow_id, "first", "COMPLETED", {"n": 2})
    found = completed(wait_for_end(client, workflow_id))
    [second] = [task for task in found.tasks if task.reference_task_name == "second"]
    assert (second.status, second.output_data, found.output) == ("SKIPPED", {"n": 4}, {"n": 4}), shown(found)


def many_at_once():
    c = clients()
    client = c.get_workflow_client()
    bulk = WorkflowBulkResourceApi(client.workflowResourceApi.api_client)
    ids = [start(client, "pc_flow", {"n": number}) for number in range(4)]
    nobody = "00000000-0000-4000-8000-000000000000"

    def succeeded(answer, expected):
        assert set(answer.bulk_successful_results) == set(expected), answer

    answer = bulk.pause_workflow([*ids, nobody])
    succeeded(answer, ids)
    assert list(answer.bulk_error_results) == [nobody], answer
    succeeded(bulk.resume_workflow(ids), ids)
    succeeded(bulk.terminate(ids, reason="all of you"), ids)
    for workflow_id in ids:
        assert wait_for_end(client, workflow_id).reason_for_incompletion == "all of you"
    succeeded(bulk.retry(ids[:2]), ids[:2])
    succeeded(bulk.restart(ids[2:], use_latest_definitions=True), ids[2:])
    for workflow_id in ids:
        to_its_end(workflow_id)


def remove():
    client = clients().get_workflow_client()
    workflow_id = start(client, "pc_flow", {"n": 1})
    to_its_end(workflow_id)
    client.delete_workflow(workflow_id, archive_workflow=False)
    refused(404, lambda: client.get_workflow(workflow_id))


if __name__ == "__main__":
    run(
        define,
        pause_and_resume,
        terminate,
        terminate_and_clean_up,
        retry_goes_on_where_it_failed,
        retry_reaches_into_the_child_that_failed,
        restart_begins_anew_under_the_same_id,
        rerun_from_a_task,
        skip_a_step,
        many_at_once,
        remove,
    )
