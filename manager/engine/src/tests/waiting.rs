//! Types that need nobody, or wait: NOOP, SET_VARIABLE, TERMINATE, WAIT, HUMAN, DYNAMIC, EXCLUSIVE_JOIN; start delays.

use conductor_model::{TaskStatus, WorkflowStatus};
use serde_json::{Value, json};

use super::harness::{BEGIN, Story, simple};
use crate::{Event, WorkerStatus};

fn of_type(task_type: &str, input: Value) -> Value {
    json!({"name": "x", "taskReferenceName": "x", "type": task_type, "inputParameters": input})
}

fn start(step: Value) -> Story {
    Story::start(json!({"tasks": [step, simple("after")]}), json!([]), json!({"n": 7, "name": "t1"}))
}

#[test]
fn a_noop_is_done_at_once() {
    let story = start(of_type("NOOP", json!({})));
    assert_eq!(story.tasks(), ["x COMPLETED", "after SCHEDULED"]);
}

#[test]
fn variables_are_merged_and_seen_by_later_steps() {
    let mut use_it = simple("after");
    use_it["inputParameters"] = json!({"a": "${workflow.variables.a}", "b": "${workflow.variables.b}"});
    let workflow =
        json!({"tasks": [of_type("SET_VARIABLE", json!({"a": "${workflow.input.n}"})), use_it], "variables": {"a": 1, "b": 2}});
    let story = Story::start(workflow, json!([]), json!({"n": 7}));
    assert_eq!(story.task("after").input.as_ref(), &json!({"a": 7, "b": 2}));
}

#[test]
fn too_many_variables_fail_for_good() {
    let story = start(of_type("SET_VARIABLE", json!({"large": "x".repeat(256 * 1024)})));
    assert_eq!(story.task("x").status, TaskStatus::FailedWithTerminalError);
    assert!(story.task("x").reason.as_deref().is_some_and(|reason| reason.contains("262144 bytes")));
    assert_eq!(story.run.workflow().variables.as_ref(), &json!({}));
}

#[test]
fn terminate_ends_the_workflow_as_it_says() {
    let story =
        start(of_type("TERMINATE", json!({"terminationStatus": "COMPLETED", "workflowOutput": {"n": "${workflow.input.n}"}})));
    assert_eq!(story.status(), WorkflowStatus::Completed);
    assert_eq!(story.run.workflow().output.as_ref(), &json!({"n": 7}));
    let story =
        start(of_type("TERMINATE", json!({"terminationStatus": "FAILED", "terminationReason": "no", "workflowOutput": 5})));
    assert_eq!(story.status(), WorkflowStatus::Failed);
    assert_eq!(story.run.workflow().reason.as_deref(), Some("no"));
    assert_eq!(story.run.workflow().output.as_ref(), &json!({"output": 5}));
    assert_eq!(story.task("x").status, TaskStatus::Completed);
    let story = start(of_type("TERMINATE", json!({"terminationStatus": "${workflow.input.name}"})));
    assert_eq!(story.task("x").status, TaskStatus::FailedWithTerminalError);
}

#[test]
fn terminate_in_a_branch_cancels_the_others() {
    let fork = json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN",
        "forkTasks": [[simple("a")], [simple("b"), of_type("TERMINATE", json!({"terminationStatus": "TERMINATED"}))]]});
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN"});
    let mut story = Story::start(json!({"tasks": [fork, join]}), json!([]), json!({}));
    story.complete("b", json!({}));
    assert_eq!(story.status(), WorkflowStatus::Terminated);
    assert_eq!((story.task("a").status, story.task("j").status), (TaskStatus::Canceled, TaskStatus::Canceled));
}

#[test]
fn a_wait_for_a_time_is_over_on_time() {
    let mut story = start(of_type("WAIT", json!({"duration": "1 m 30 s"})));
    assert_eq!((story.task("x").status, story.task("x").timer_at), (TaskStatus::InProgress, Some(BEGIN.plus_seconds(90))));
    story.restart();
    let task = story.id("x");
    story.wait(89);
    assert_eq!(story.try_event(Event::TaskTimer { task }), Err(crate::Refusal::NothingDue));
    story.time_out("x");
    assert_eq!(story.tasks(), ["x COMPLETED", "after SCHEDULED"]);
}

#[test]
fn a_wait_until_a_moment_knows_zones() {
    let story = start(of_type("WAIT", json!({"until": "1970-01-01 01:00 GMT+00:30"})));
    assert_eq!(story.task("x").timer_at.map(|at| at.0), Some(1_800_000));
    let story = start(of_type("WAIT", json!({"until": "1970-01-01 01:00 Story/Zone"})));
    assert_eq!(story.task("x").timer_at.map(|at| at.0), Some(3_600_000 - 7_200_000), "the harness's zone is two hours ahead");
    let story = start(of_type("WAIT", json!({"until": "1970-01-01 01:00 Nowhere/At_All"})));
    assert_eq!(story.task("x").status, TaskStatus::FailedWithTerminalError);
    assert!(story.task("x").reason.as_deref().is_some_and(|reason| reason.contains("Nowhere/At_All")));
}

#[test]
fn a_wait_for_nothing_waits_for_an_update() {
    for task_type in ["WAIT", "HUMAN"] {
        let mut story = start(of_type(task_type, json!({})));
        assert_eq!((story.task("x").status, story.task("x").timer_at), (TaskStatus::InProgress, None));
        story.update("x", WorkerStatus::InProgress, json!({"half": 1}));
        assert_eq!(story.task("x").status, TaskStatus::InProgress);
        story.complete("x", json!({"signal": true}));
        assert_eq!(story.open(), ["after"]);
    }
}

#[test]
fn a_wait_with_both_fails_for_good() {
    let input = json!({"duration": "${workflow.input.d}", "until": "${workflow.input.d}"});
    let faults = super::harness::violations(json!({"tasks": [of_type("WAIT", input)]}));
    assert_eq!(faults.len(), 1);
    let story = start(of_type("WAIT", json!({"duration": "${workflow.input.name}"})));
    assert_eq!(story.task("x").status, TaskStatus::FailedWithTerminalError);
}

#[test]
fn a_wait_that_ends_while_paused_is_followed_when_the_workflow_goes_on() {
    let mut story = start(of_type("WAIT", json!({"duration": "10s"})));
    story.event(Event::Pause);
    story.restart();
    story.time_out("x");
    assert_eq!(story.tasks(), ["x COMPLETED"]);
    story.restart();
    story.event(Event::Resume);
    assert_eq!(story.open(), ["after"]);
}

#[test]
fn every_type_heeds_its_start_delay() {
    for task_type in ["NOOP", "SET_VARIABLE", "HUMAN", "INLINE", "SWITCH"] {
        let mut step = of_type(task_type, json!({"expression": "1", "k": 1}));
        step["startDelay"] = json!(20);
        if task_type == "SWITCH" {
            step["expression"] = json!("k");
            step["decisionCases"] = json!({"1": [simple("one")]});
        }
        let mut story = start(step);
        assert_eq!(
            (story.task("x").status, story.task("x").timer_at),
            (TaskStatus::Scheduled, Some(BEGIN.plus_seconds(20))),
            "{task_type}"
        );
        story.event(Event::Pause);
        assert_eq!(story.task("x").timer_at, None, "nothing begins in a paused workflow");
        story.wait(60);
        story.event(Event::Resume);
        story.restart();
        let task = story.id("x");
        story.event(Event::TaskTimer { task });
        assert_ne!(story.task("x").status, TaskStatus::Scheduled, "{task_type}");
    }
}

#[test]
fn a_dynamic_task_takes_the_name_it_is_given() {
    let mut step = of_type("DYNAMIC", json!({"which": "${workflow.input.name}", "n": "${workflow.input.n}"}));
    step["dynamicTaskNameParam"] = json!("which");
    let mut story = start(step.clone());
    assert_eq!((&*story.task("x").definition_name, story.task("x").status), ("t1", TaskStatus::Scheduled));
    assert_eq!(story.task("x").definition.as_ref().map(|definition| definition.retry_count), Some(1), "as the catalogue says");
    story.poll("x");
    story.fail("x");
    assert_eq!(story.attempts("x"), [TaskStatus::Failed, TaskStatus::Scheduled]);
    story.restart();
    story.complete("x", json!({}));
    assert_eq!(story.open(), ["after"]);
    step["inputParameters"]["which"] = json!("${workflow.input.n}");
    assert_eq!(start(step).status(), WorkflowStatus::Failed);
}

#[test]
fn an_exclusive_join_takes_what_comes_first() {
    let switch = json!({"name": "s", "taskReferenceName": "s", "type": "SWITCH", "expression": "way", "inputParameters": {"way": "${workflow.input.way}"},
        "decisionCases": {"l": [simple("left")], "r": [simple("right")]}, "defaultCase": []});
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "EXCLUSIVE_JOIN", "joinOn": ["left", "right"], "defaultExclusiveJoinTask": ["s"]});
    let tasks = json!({"tasks": [switch, join]});
    let mut story = Story::start(tasks.clone(), json!([]), json!({"way": "r"}));
    story.complete("right", json!({"r": 1}));
    assert_eq!(story.task("j").output.as_ref(), &json!({"r": 1}));
    let story = Story::start(tasks, json!([]), json!({"way": "neither"}));
    assert_eq!(story.task("j").output["selectedCase"], "neither", "the default counts when nothing else can come");
    assert_eq!(story.status(), WorkflowStatus::Completed);
}

#[test]
fn an_exclusive_join_waits_while_one_may_come() {
    let fork = json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [[simple("a")], [simple("b")],
        [{"name": "e", "taskReferenceName": "e", "type": "EXCLUSIVE_JOIN", "joinOn": ["a", "b"]}, simple("then")]]});
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN"});
    let mut story = Story::start(json!({"tasks": [fork, join]}), json!([]), json!({}));
    assert_eq!(story.task("e").status, TaskStatus::InProgress);
    story.restart();
    story.complete("b", json!({"b": 1}));
    assert_eq!(story.task("e").output.as_ref(), &json!({"b": 1}));
    assert_eq!(story.open(), ["a", "j", "then"]);
    story.complete("a", json!({}));
    story.complete("then", json!({}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
}
