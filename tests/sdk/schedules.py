"""Schedules: workflows that start by the clock."""

import time

from conductor.client.http.models import SaveScheduleRequest, StartWorkflowRequest
from conductor.client.workflow.conductor_workflow import ConductorWorkflow
from conductor.client.workflow.task.inline import InlineTask
from story import RUN, clients, completed, refused, run, until, wait_for_end

NAME = f"every_second_{RUN}"


def define():
    made = ConductorWorkflow(clients().get_workflow_executor(), "pt_flow", 1)
    made >> InlineTask("one", "$.n + 1", bindings={"n": "${workflow.input.n}"})
    made.output_parameters({"n": "${one.output.result}"})
    made.register(overwrite=True)


def request(**more):
    return SaveScheduleRequest(
        name=NAME, cron_expression="* * * * * ?",
        start_workflow_request=StartWorkflowRequest(name="pt_flow", version=1, input={"n": 4}, correlation_id=NAME), **more)


def started():
    return clients().get_workflow_client().search(query=f"correlationId='{NAME}'").results


def times_are_foretold():
    scheduler = clients().get_scheduler_client()
    times = scheduler.get_next_few_schedule_execution_times("0 */5 * ? * *", limit=3)
    assert len(times) == 3 and all(each % 300_000 == 0 and each > time.time() * 1000 - 1000 for each in times), times
    assert times[1] - times[0] == times[2] - times[1] == 300_000, times


def a_schedule_starts_workflows_on_time():
    scheduler, client = clients().get_scheduler_client(), clients().get_workflow_client()
    scheduler.save_schedule(request())
    found = scheduler.get_schedule(NAME)
    assert (found.name, found.cron_expression, found.start_workflow_request.name) == (NAME, "* * * * * ?", "pt_flow"), found
    assert NAME in {each.name for each in scheduler.get_all_schedules("pt_flow")}
    hits = until("it has started three", 15, lambda: len(found := started()) >= 3 and found)
    assert completed(wait_for_end(client, hits[0].workflow_id)).output == {"n": 5}


def a_paused_schedule_starts_nothing():
    scheduler = clients().get_scheduler_client()
    scheduler.pause_schedule(NAME, reason="a rest")
    found = scheduler.get_schedule(NAME)
    assert found.paused is True, found
    before = len(started())
    # Nothing to wait for: that nothing happens is seen only by giving it the time in which it would have.
    time.sleep(2.5)
    assert len(started()) == before, "it started workflows while paused"
    scheduler.resume_schedule(NAME)
    until("it goes on", 15, lambda: len(started()) > before)


def a_schedule_is_removed():
    scheduler = clients().get_scheduler_client()
    scheduler.delete_schedule(NAME)
    assert NAME not in {each.name for each in scheduler.get_all_schedules()}


def a_wrong_expression_is_refused():
    scheduler = clients().get_scheduler_client()
    wrong = request()
    wrong.cron_expression = "every now and then"
    refused(400, lambda: scheduler.save_schedule(wrong))


if __name__ == "__main__":
    run(
        define,
        times_are_foretold,
        a_schedule_starts_workflows_on_time,
        a_paused_schedule_starts_nothing,
        a_schedule_is_removed,
        a_wrong_expression_is_refused,
    )
