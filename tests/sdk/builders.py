"""Workflows made with the SDK's fluent builders: sequences, forks, choices, loops."""

from conductor.client.worker.worker_task import worker_task
from conductor.client.workflow.conductor_workflow import ConductorWorkflow
from conductor.client.workflow.task.do_while_task import DoWhileTask, LoopTask
from conductor.client.workflow.task.fork_task import ForkTask
from conductor.client.workflow.task.join_task import JoinTask
from conductor.client.workflow.task.simple_task import simple_task
from conductor.client.workflow.task.switch_task import SwitchTask
from conductor.client.workflow.task.timeout_policy import TimeoutPolicy
from story import clients, completed, quick_task, run, shown, start, task_named, wait_for_end, workers


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
        )
