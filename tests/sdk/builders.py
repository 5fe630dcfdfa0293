"""Workflows made with the SDK's fluent builders: forks, choices, loops, workflows in workflows."""

from conductor.client.http.models import StartWorkflowRequest
from conductor.client.worker.worker_task import worker_task
from conductor.client.workflow.conductor_workflow import ConductorWorkflow
from conductor.client.workflow.task.do_while_task import DoWhileTask, ForEachTask, LoopTask
from conductor.client.workflow.task.dynamic_fork_task import DynamicForkTask
from conductor.client.workflow.task.dynamic_task import DynamicTask
from conductor.client.workflow.task.fork_task import ForkTask
from conductor.client.workflow.task.join_task import JoinTask
from conductor.client.workflow.task.simple_task import simple_task
from conductor.client.workflow.task.start_workflow_task import StartWorkflowTask
from conductor.client.workflow.task.sub_workflow_task import InlineSubWorkflowTask, SubWorkflowTask
from conductor.client.workflow.task.switch_task import SwitchTask
from conductor.client.workflow.task.timeout_policy import TimeoutPolicy
from story import clients, completed, quick_task, run, shown, start, task_named, until, wait_for_end, workers


@worker_task(task_definition_name="pb_double", thread_count=4, register_task_def=True, task_def=quick_task("pb_double"))
def double(value: int) -> dict:
    return {"value": value * 2}


def twice(reference, value):
    return simple_task("pb_double", reference, {"value": value})


def flow(name):
    made = ConductorWorkflow(clients().get_workflow_executor(), name, 1)
    return made.timeout_policy(TimeoutPolicy.TIME_OUT_WORKFLOW).timeout_seconds(120).owner_email("ops@example.com")


def run_once(made, **input):
    """Registers what was made and runs it to its end."""
    made.register(overwrite=True)
    client = clients().get_workflow_client()
    return wait_for_end(client, start(client, made.name, input), 60)


def tasks_in_sequence():
    made = flow("pb_sequence")
    first, second = twice("first", "${workflow.input.value}"), twice("second", "${first.output.value}")
    made >> first >> second
    made.output_parameters({"value": second.output("value")})
    assert completed(run_once(made, value=3)).output == {"value": 12}


def a_fork_written_as_a_list_joins_by_itself():
    made = flow("pb_fork_list")
    made >> [[twice("left", 1), twice("left_on", "${left.output.value}")], [twice("right", 10)]] >> twice("after", 100)
    made.output_parameters({"left": "${left_on.output.value}", "right": "${right.output.value}", "after": "${after.output.value}"})
    found = completed(run_once(made))
    assert found.output == {"left": 4, "right": 20, "after": 200}, shown(found)
    assert "JOIN" in [task.task_type for task in found.tasks], shown(found)


def a_fork_waits_for_the_branches_that_its_join_names():
    made = flow("pb_fork_join")
    made >> ForkTask("fork", [[twice("a", 1)], [twice("b", 2)]], join_on=["a", "b"])
    made.output_parameters({"joined": "${fork_join.output}"})
    found = completed(run_once(made))
    assert found.output == {"joined": {"a": {"value": 2}, "b": {"value": 4}}}, shown(found)


def a_join_may_have_a_script():
    made = flow("pb_join_script")
    script = """(function(){
      let open = $.joinOn.filter((name) => !$[name] || $[name].status !== 'COMPLETED');
      if (open.length > 0) return {status: 'IN_PROGRESS', reasonForIncompletion: 'waits for ' + open};
      return true;
    })();"""
    fork = ForkTask("fork", [[twice("a", 1)], [twice("b", 2)]])
    made >> fork >> JoinTask("join", join_on=["a", "b"], join_on_script=script)
    made.output_parameters({"joined": "${join.output}"})
    assert completed(run_once(made)).output == {"joined": {"a": {"value": 2}, "b": {"value": 4}}}


def a_switch_takes_the_branch_of_its_value():
    made = flow("pb_switch")
    made >> (
        SwitchTask("choice", made.input("kind")).switch_case("one", [twice("one", 1)]).switch_case("two", [twice("two", 2)])
        .default_case([twice("other", 3)])
    )
    for kind, reference in [("one", "one"), ("two", "two"), ("seven", "other")]:
        found = completed(run_once(made, kind=kind))
        assert task_named(found, reference).status == "COMPLETED", shown(found)
        assert {"one", "two", "other"} & {task.reference_task_name for task in found.tasks} == {reference}, shown(found)


def a_switch_may_decide_in_javascript():
    made = flow("pb_switch_js")
    choice = SwitchTask("choice", "$.amount > 10 ? 'big' : 'small'", use_javascript=True)
    choice.input_parameter("amount", "${workflow.input.amount}")
    made >> choice.switch_case("big", [twice("big", 1)]).switch_case("small", [twice("small", 2)])
    for amount, reference in [(11, "big"), (9, "small")]:
        assert task_named(completed(run_once(made, amount=amount)), reference)


def a_loop_counts_its_rounds():
    made = flow("pb_loop")
    made >> LoopTask("loop", 3, [twice("round", "${loop.output.iteration}")])
    found = completed(run_once(made))
    rounds = [task for task in found.tasks if task.reference_task_name.startswith("round")]
    assert [task.reference_task_name for task in rounds] == ["round__1", "round__2", "round__3"], shown(found)
    assert [task.iteration for task in rounds] == [1, 2, 3], shown(found)
    loop = task_named(found, "loop")
    assert loop.output_data["iteration"] == 3 and loop.output_data["2"]["round"] == rounds[1].output_data, shown(found)


def a_loop_goes_on_while_its_condition_holds():
    made = flow("pb_while")
    made >> DoWhileTask("loop", "if ($.round['value'] < 8 && $.loop['iteration'] < 9) { true; } else { false; }",
                        [twice("round", "${loop.output.iteration}")])
    found = completed(run_once(made))
    assert task_named(found, "loop").output_data["iteration"] == 4, shown(found)


def a_loop_runs_over_items():
    made = flow("pb_items")
    made >> ForEachTask("loop", [twice("round", "${loop.output.loopItem}")], iterate_over="${workflow.input.items}")
    found = completed(run_once(made, items=[5, 6]))
    rounds = [task for task in found.tasks if task.reference_task_name.startswith("round")]
    assert [task.output_data["value"] for task in rounds] == [10, 12], shown(found)


def a_dynamic_task_is_chosen_by_input():
    made = flow("pb_dynamic")
    chosen = DynamicTask(made.input("which"), "chosen")
    chosen.input_parameters["value"] = 21
    made >> chosen
    made.output_parameters({"value": "${chosen.output.value}"})
    found = completed(run_once(made, which="pb_double"))
    assert found.output == {"value": 42}, shown(found)


def a_dynamic_fork_runs_what_its_input_lists():
    made = flow("pb_dynamic_fork")
    fork = DynamicForkTask("fork", join_task=JoinTask("join"))
    fork.input_parameters.update({"dynamicTasks": made.input("tasks"), "dynamicTasksInputs": made.input("inputs")})
    made >> fork
    made.output_parameters({"all": "${join.output}"})
    names = [f"branch_{number}" for number in range(20)]
    tasks = [{"name": "pb_double", "taskReferenceName": name, "type": "SIMPLE"} for name in names]
    inputs = {name: {"value": number} for number, name in enumerate(names)}
    found = completed(run_once(made, tasks=tasks, inputs=inputs))
    assert {name: found.output["all"][name]["value"] for name in names} == {
        name: 2 * number for number, name in enumerate(names)
    }, shown(found)


def a_dynamic_fork_runs_scripts_that_its_input_brings():
    made = flow("pb_dynamic_scripts")
    fork = DynamicForkTask("fork", join_task=JoinTask("join"))
    fork.input_parameters.update({"dynamicTasks": made.input("tasks"), "dynamicTasksInputs": made.input("inputs")})
    made >> fork
    made.output_parameters({"all": "${join.output}"})
    tasks = [{"name": "sum", "taskReferenceName": "sum", "type": "INLINE"}, {"name": "jq", "taskReferenceName": "jq", "type": "JSON_JQ_TRANSFORM"}]
    inputs = {"sum": {"evaluatorType": "graaljs", "expression": "$.a + 1", "a": 2}, "jq": {"queryExpression": ".b", "b": 5}}
    found = completed(run_once(made, tasks=tasks, inputs=inputs))
    assert (found.output["all"]["sum"]["result"], found.output["all"]["jq"]["result"]) == (3, 5), shown(found)


def a_workflow_runs_in_a_workflow():
    inner = flow("pb_inner")
    inner >> twice("inside", "${workflow.input.value}")
    inner.output_parameters({"value": "${inside.output.value}"})
    inner.register(overwrite=True)

    outer = flow("pb_outer")
    by_name = SubWorkflowTask("by_name", "pb_inner", 1)
    by_name.input_parameters["value"] = 4
    inline = InlineSubWorkflowTask("inline", inner)
    inline.input_parameters["value"] = "${by_name.output.value}"
    outer >> by_name >> inline
    outer.output_parameters({"value": "${inline.output.value}"})
    found = completed(run_once(outer))
    assert found.output == {"value": 16}, shown(found)
    child_id = task_named(found, "by_name").sub_workflow_id
    child = completed(clients().get_workflow_client().get_workflow(child_id, True))
    assert child.parent_workflow_id == found.workflow_id, shown(child)


def a_workflow_added_to_a_workflow_runs_inline():
    inner = flow("pb_added")
    inner >> twice("inside", 8)
    inner.output_parameters({"value": "${inside.output.value}"})
    outer = flow("pb_adds")
    outer >> inner >> twice("after", 1)
    found = completed(run_once(outer))
    assert [task.output_data.get("value") for task in found.tasks] == [16, 2], shown(found)


def a_workflow_starts_another_and_goes_on():
    made = flow("pb_starts")
    made >> StartWorkflowTask("start", "pb_inner", StartWorkflowRequest(name="pb_inner", input={"value": 6}), 1)
    found = completed(run_once(made))
    started = task_named(found, "start").output_data["workflowId"]
    assert completed(wait_for_end(clients().get_workflow_client(), started)).output == {"value": 12}


def a_workflow_runs_without_being_registered():
    made = flow("pb_unregistered")
    made >> twice("only", "${workflow.input.value}")
    made.output_parameters({"value": "${only.output.value}"})
    client = clients().get_workflow_client()
    started = made.start_workflow_with_input({"value": 50}, correlation_id="one-off")
    found = completed(wait_for_end(client, started))
    assert (found.output, found.correlation_id) == ({"value": 100}, "one-off"), shown(found)


def an_overdue_workflow_times_out():
    made = flow("pb_overdue").timeout_seconds(1)
    nobody = simple_task("pb_nobody", "nobody", {})
    clients().get_metadata_client().register_task_def(quick_task("pb_nobody"))
    made >> nobody
    found = run_once(made)
    assert found.status == "TIMED_OUT", shown(found)
    until("its task is cancelled", 5, lambda: task_named(found, "nobody").status in ("CANCELED", "TIMED_OUT"))


if __name__ == "__main__":
    with workers():
        run(
            tasks_in_sequence,
            a_fork_written_as_a_list_joins_by_itself,
            a_fork_waits_for_the_branches_that_its_join_names,
            a_join_may_have_a_script,
            a_switch_takes_the_branch_of_its_value,
            a_switch_may_decide_in_javascript,
            a_loop_counts_its_rounds,
            a_loop_goes_on_while_its_condition_holds,
            a_loop_runs_over_items,
            a_dynamic_task_is_chosen_by_input,
            a_dynamic_fork_runs_what_its_input_lists,
            a_dynamic_fork_runs_scripts_that_its_input_brings,
            a_workflow_runs_in_a_workflow,
            a_workflow_added_to_a_workflow_runs_inline,
            a_workflow_starts_another_and_goes_on,
            a_workflow_runs_without_being_registered,
            an_overdue_workflow_times_out,
        )
