"""Start, poll, update, observe: a worker that makes every call itself, and somebody who looks on."""

from conductor.client.http.api.task_resource_api import TaskResourceApi
from conductor.client.http.models import StartWorkflowRequest, TaskResult
from conductor.client.http.models.correlation_ids_search_request import CorrelationIdsSearchRequest
from conductor.client.http.models.start_workflow_request import IdempotencyStrategy
from conductor.client.workflow.conductor_workflow import ConductorWorkflow
from conductor.client.workflow.task.simple_task import simple_task
from story import RUN, clients, completed, named, quick_task, refused, run, shown, start, until, wait_for_end, wait_for_task

FIRST, SECOND, FLOW = named("pr_first"), named("pr_second"), named("pr_flow")


def define():
    c = clients()
    for name in [FIRST, SECOND]:
        c.get_metadata_client().register_task_def(quick_task(name, retry_count=1))
    made = ConductorWorkflow(c.get_workflow_executor(), FLOW, 1)
    made >> simple_task(FIRST, "first", {"n": "${workflow.input.n}"}) >> simple_task(SECOND, "second", {"n": "${first.output.n}"})
    made.output_parameters({"n": "${second.output.n}"})
    made.register(overwrite=True)


def polled(task_type, **more):
    """A task to do; the SDK shows "there is none" as a task in which everything is missing."""
    task = clients().get_task_client().poll_task(task_type, **more)
    return task if task and task.task_id else None


def result(task, status, **more):
    return TaskResult(workflow_instance_id=task.workflow_instance_id, task_id=task.task_id, status=status, worker_id="w-1", **more)


def a_worker_by_hand():
    c = clients()
    client, tasks = c.get_workflow_client(), c.get_task_client()
    assert polled(FIRST) is None, "nothing to do is no error"
    assert tasks.batch_poll_tasks(FIRST, count=3, timeout_in_millisecond=50) == []
    workflow_id = start(client, FLOW, {"n": 1}, correlation_id=f"c-{RUN}", priority=7)
    assert tasks.get_queue_size_for_task(FIRST) == 1
    task = polled(FIRST, worker_id="w-1")
    assert (task.input_data, task.status, task.worker_id) == ({"n": 1}, "IN_PROGRESS", "w-1"), task
    assert tasks.get_queue_size_for_task(FIRST) == 0
    tasks.add_task_log(task.task_id, "a line by hand")
    assert [line.log for line in tasks.get_task_logs(task.task_id)] == ["a line by hand"]
    tasks.update_task(result(task, "IN_PROGRESS", output_data={"half": True}, callback_after_seconds=0))
    again = until("the task comes back", 5, lambda: polled(FIRST, worker_id="w-1"))
    assert (again.task_id, again.poll_count) == (task.task_id, 2), again
    assert tasks.update_task(result(again, "COMPLETED", output_data={"n": 2})) == task.task_id
    [second] = until("the second step is there", 5, lambda: tasks.batch_poll_tasks(SECOND, "w-1", count=5, timeout_in_millisecond=1000))
    assert second.input_data == {"n": 2}, second
    assert tasks.get_task(second.task_id).reference_task_name == "second"
    tasks.update_task(result(second, "FAILED", reason_for_incompletion="try again"))
    retried = until("the retry is there", 5, lambda: polled(SECOND))
    assert (retried.retry_count, retried.retried_task_id) == (1, second.task_id), retried
    tasks.update_task(result(retried, "COMPLETED", output_data={"n": 3}))
    found = completed(wait_for_end(client, workflow_id))
    assert (found.output, found.priority, found.correlation_id) == ({"n": 3}, 7, f"c-{RUN}"), shown(found)
    tasks.update_task(result(retried, "FAILED"))
    assert client.get_workflow(workflow_id).status == "COMPLETED", "a late word changes nothing"


def an_update_brings_the_next_task():
    c = clients()
    client, api = c.get_workflow_client(), TaskResourceApi(c.get_task_client().taskResourceApi.api_client)
    ids = [start(client, FLOW, {"n": number}) for number in (10, 20)]
    first = until("a task is there", 5, lambda: polled(FIRST))
    following = api.update_task_v2(result(first, "COMPLETED", output_data={"n": 0}))
    assert following.reference_task_name == "first" and following.task_id != first.task_id, following
    assert api.update_task_v2(result(following, "COMPLETED", output_data={"n": 0})) is None, "there is no third"
    for workflow_id in ids:
        client.terminate_workflow(workflow_id, "enough")


def unknown_things_are_404():
    c = clients()
    nobody = "00000000-0000-4000-8000-000000000000"
    refused(404, lambda: c.get_workflow_client().get_workflow(nobody))
    refused(404, lambda: c.get_task_client().get_task(nobody))
    refused(404, lambda: start(c.get_workflow_client(), "pr_no_such_flow"))


def somebody_looks_on():
    c = clients()
    client = c.get_workflow_client()
    cid = f"look-{RUN}"
    ids = [start(client, FLOW, {"n": number}, correlation_id=cid) for number in range(3)]
    wait_for_task(client, ids[0], "first", {"SCHEDULED"})
    status = client.get_workflow_status(ids[0], include_output=True, include_variables=True)
    assert (status.workflow_id, status.status, status.correlation_id) == (ids[0], "RUNNING", cid), status
    client.terminate_workflow(ids[2], "seen enough")
    hits = client.search(query=f"workflowType='{FLOW}' AND correlationId='{cid}'")
    assert {hit.workflow_id for hit in hits.results} == set(ids), hits
    running = client.search(start=0, size=1, query=f"correlationId='{cid}' AND status IN (RUNNING)")
    assert len(running.results) == 1, running
    either = client.search(query=f"correlationId='{cid}' AND (status='TERMINATED' OR status='FAILED')")
    assert [hit.workflow_id for hit in either.results] == [ids[2]], either
    by_text = client.search(free_text=cid)
    assert len(by_text.results) == 3, by_text
    found = client.get_by_correlation_ids(FLOW, [cid], include_completed=False, include_tasks=True)
    assert {each.workflow_id for each in found[cid]} == set(ids[:2]), found
    batch = CorrelationIdsSearchRequest(correlation_ids=[cid], workflow_names=[FLOW])
    found = client.get_by_correlation_ids_in_batch(batch, include_completed=True, include_tasks=False)
    assert {each.workflow_id for each in found[cid]} == set(ids), found
    for workflow_id in ids[:2]:
        client.terminate_workflow(workflow_id)


def an_idempotency_key_starts_one_workflow():
    client = clients().get_workflow_client()

    def with_key(strategy):
        return client.start_workflow(
            StartWorkflowRequest(name=FLOW, input={"n": 0}, idempotency_key=f"k-{RUN}", idempotency_strategy=strategy)
        )

    first = with_key(IdempotencyStrategy.FAIL)
    refused(409, lambda: with_key(IdempotencyStrategy.FAIL))
    assert with_key(IdempotencyStrategy.RETURN_EXISTING) == first
    client.terminate_workflow(first)


def started_by_name():
    client = clients().get_workflow_client()
    workflow_id = client.start_workflow_by_name(FLOW, {"n": 5}, version=1, correlationId="by-name", priority=3)
    found = client.get_workflow(workflow_id)
    assert (found.input, found.correlation_id, found.priority) == ({"n": 5}, "by-name", 3), shown(found)
    client.terminate_workflow(workflow_id)


def polls_are_remembered():
    tasks = clients().get_task_client()
    tasks.poll_task(FIRST, worker_id="somebody")
    workers = {poll.worker_id for poll in tasks.get_task_poll_data(FIRST)}
    assert "somebody" in workers, workers


if __name__ == "__main__":
    run(
        define,
        a_worker_by_hand,
        an_update_brings_the_next_task,
        unknown_things_are_404,
        somebody_looks_on,
        an_idempotency_key_starts_one_workflow,
        started_by_name,
        polls_are_remembered,
    )
