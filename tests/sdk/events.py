"""Event handlers: what a workflow publishes starts, completes and ends others."""

from conductor.client.http.api.event_resource_api import EventResourceApi
from conductor.client.http.models import Action, EventHandler, StartWorkflow
from conductor.client.http.models.task_details import TaskDetails
from conductor.client.http.models.terminate_workflow import TerminateWorkflow
from conductor.client.http.models.update_workflow_variables import UpdateWorkflowVariables
from conductor.client.workflow.conductor_workflow import ConductorWorkflow
from conductor.client.workflow.task.event_task import ConductorEventTask
from conductor.client.workflow.task.inline import InlineTask
from conductor.client.workflow.task.wait_task import WaitTask
from story import RUN, clients, completed, refused, run, shown, start, task_named, until, wait_for_end, wait_for_task

# What the event task `tell` of the workflow `pe_teller` publishes to.
TOLD = "conductor:pe_teller:news"


def events():
    return EventResourceApi(clients().get_workflow_client().workflowResourceApi.api_client)


def define():
    executor = clients().get_workflow_executor()
    teller = ConductorWorkflow(executor, "pe_teller", 1)
    tell = ConductorEventTask("tell", "news")
    tell.input_parameters.update({"kind": "${workflow.input.kind}", "who": "${workflow.input.who}", "n": "${workflow.input.n}"})
    teller >> tell
    teller.register(overwrite=True)
    hearer = ConductorWorkflow(executor, "pe_hearer", 1)
    hearer >> InlineTask("heard", "$.n + 1", bindings={"n": "${workflow.input.n}"})
    hearer.output_parameters({"n": "${heard.output.result}"})
    hearer.register(overwrite=True)
    waiting = ConductorWorkflow(executor, "pe_waiting", 1)
    waiting >> WaitTask("wait")
    waiting.output_parameters({"n": "${wait.output.n}"})
    waiting.register(overwrite=True)


def handler(name, kind, action):
    return EventHandler(name=f"{name}_{RUN}", event=TOLD, condition=f"$.kind == '{kind}'", actions=[action], active=True,
                        evaluator_type="javascript")


def handlers_are_stored_changed_and_removed():
    api = events()
    first = handler("stored", "never", Action(action="start_workflow", start_workflow=StartWorkflow(name="pe_hearer")))
    api.add_event_handler([first])
    refused(409, lambda: api.add_event_handler([first]))
    first.active = False
    api.update_event_handler(first)
    named = {each.name: each for each in api.get_event_handlers()}
    assert named[first.name].active is False, named
    assert first.name in {each.name for each in api.get_event_handlers_for_event(TOLD, active_only=False)}
    assert first.name not in {each.name for each in api.get_event_handlers_for_event(TOLD, active_only=True)}
    api.remove_event_handler_status(first.name)
    refused(404, lambda: api.remove_event_handler_status(first.name))


def tell(kind, **more):
    client = clients().get_workflow_client()
    told = completed(wait_for_end(client, start(client, "pe_teller", {"kind": kind, **more})))
    assert task_named(told, "tell").output_data["event_produced"] == TOLD, shown(told)


def an_event_starts_a_workflow():
    client, api = clients().get_workflow_client(), events()
    begins = StartWorkflow(name="pe_hearer", version=1, correlation_id=f"ev-{RUN}", input={"n": "${n}"})
    one = handler("starts", "start", Action(action="start_workflow", start_workflow=begins))
    api.add_event_handler([one])
    tell("other", n=1)
    tell("start", n=41)
    hits = until("the event has started one", 15, lambda: client.search(query=f"correlationId='ev-{RUN}'").results)
    assert completed(wait_for_end(client, hits[0].workflow_id)).output["n"] == 42
    assert len(client.search(query=f"correlationId='ev-{RUN}'").results) == 1, "only the event whose condition holds"
    api.remove_event_handler_status(one.name)


def an_event_completes_and_fails_a_task():
    client, api = clients().get_workflow_client(), events()
    details = TaskDetails(workflow_id="${who}", task_ref_name="wait", output={"n": "${n}"})
    completes = handler("completes", "complete", Action(action="complete_task", complete_task=details))
    fails = handler("fails", "fail", Action(action="fail_task", fail_task=details))
    api.add_event_handler([completes])
    api.add_event_handler([fails])
    first, second = start(client, "pe_waiting"), start(client, "pe_waiting")
    for workflow_id in (first, second):
        wait_for_task(client, workflow_id, "wait", {"IN_PROGRESS"})
    tell("complete", who=first, n=7)
    tell("fail", who=second, n=8)
    assert completed(wait_for_end(client, first)).output == {"n": 7}
    assert wait_for_end(client, second).status == "FAILED"
    for each in (completes, fails):
        api.remove_event_handler_status(each.name)


def an_event_sets_variables_and_ends_a_workflow():
    client, api = clients().get_workflow_client(), events()
    sets = handler("sets", "set", Action(action="update_workflow_variables", update_workflow_variables=UpdateWorkflowVariables(
        workflow_id="${who}", variables={"n": "${n}"}, append_array=False)))
    ends = handler("ends", "end", Action(action="terminate_workflow", terminate_workflow=TerminateWorkflow(
        workflow_id="${who}", termination_reason="heard ${n}")))
    api.add_event_handler([sets])
    api.add_event_handler([ends])
    workflow_id = start(client, "pe_waiting")
    tell("set", who=workflow_id, n=3)
    until("the variable is set", 15, lambda: client.get_workflow(workflow_id).variables.get("n") == 3)
    tell("end", who=workflow_id, n=4)
    found = wait_for_end(client, workflow_id)
    assert (found.status, found.reason_for_incompletion) == ("TERMINATED", "heard 4"), shown(found)
    for each in (sets, ends):
        api.remove_event_handler_status(each.name)


if __name__ == "__main__":
    run(
        define,
        handlers_are_stored_changed_and_removed,
        an_event_starts_a_workflow,
        an_event_completes_and_fails_a_task,
        an_event_sets_variables_and_ends_a_workflow,
    )
