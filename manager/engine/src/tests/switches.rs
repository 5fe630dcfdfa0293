//! SWITCH.

use conductor_model::{TaskStatus, WorkflowStatus};
use serde_json::{Value, json};

use super::harness::{Story, simple};

fn switch(cases: &Value, default: &Value) -> Value {
    json!({
        "name": "s", "taskReferenceName": "s", "type": "SWITCH", "evaluatorType": "value-param", "expression": "way",
        "inputParameters": {"way": "${workflow.input.way}"}, "decisionCases": cases, "defaultCase": default,
    })
}

fn start(way: &Value) -> Story {
    let cases = json!({"left": [simple("l1"), simple("l2")], "nothing": [], "7": [simple("seven")], "true": [simple("yes")]});
    let tasks = json!([switch(&cases, &json!([simple("d")])), simple("after")]);
    Story::start(json!({"tasks": tasks}), json!([]), json!({"way": way}))
}

#[test]
fn the_case_of_the_value_is_taken() {
    let mut story = start(&json!("left"));
    assert_eq!(story.tasks(), ["s COMPLETED", "l1 SCHEDULED"]);
    assert_eq!(story.task("s").output.as_ref(), &json!({"evaluationResult": ["left"], "selectedCase": "left"}));
    story.complete("l1", json!({}));
    story.restart();
    story.complete("l2", json!({}));
    assert_eq!(story.open(), ["after"]);
    story.complete("after", json!({}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
}

#[test]
fn values_are_compared_as_texts() {
    assert_eq!(start(&json!(7)).open(), ["seven"]);
    assert_eq!(start(&json!(true)).open(), ["yes"]);
}

#[test]
fn an_unknown_or_missing_value_takes_the_default() {
    assert_eq!(start(&json!("right")).open(), ["d"]);
    let story = start(&Value::Null);
    assert_eq!(story.open(), ["d"]);
    assert_eq!(story.task("s").output["selectedCase"], json!("null"));
}

#[test]
fn an_empty_case_does_nothing() {
    assert_eq!(start(&json!("nothing")).open(), ["after"]);
}

#[test]
fn a_workflow_that_only_decides_ends_at_once() {
    let story =
        Story::start(json!({"tasks": [switch(&json!({"a": []}), &json!([simple("d")]))]}), json!([]), json!({"way": "a"}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
    assert_eq!(story.run.workflow().output["selectedCase"], json!("a"));
}

#[test]
fn the_output_is_that_of_the_case_taken() {
    let mut story =
        Story::start(json!({"tasks": [switch(&json!({"a": [simple("x")]}), &json!([]))]}), json!([]), json!({"way": "a"}));
    story.complete("x", json!({"from": "x"}));
    assert_eq!(story.run.workflow().output.as_ref(), &json!({"from": "x"}));
}

/// A fork of two branches; in the first a switch decides whether `a` runs; the join waits for `a`, deep in a case, and `b`.
fn fork_with_switch(way: &str) -> Story {
    let inner = json!({
        "name": "t", "taskReferenceName": "t", "type": "SWITCH", "expression": "way",
        "inputParameters": {"way": "${workflow.input.way}"}, "decisionCases": {"left": [simple("x"), simple("a")]},
    });
    let fork = json!({
        "name": "f", "taskReferenceName": "f", "type": "FORK_JOIN",
        "forkTasks": [[switch(&json!({"left": [inner]}), &json!([simple("other")]))], [simple("b")]],
    });
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN", "joinOn": ["a", "b"]});
    Story::start(json!({"tasks": [fork, join]}), json!([]), json!({"way": way}))
}

#[test]
fn a_join_waits_for_a_step_in_a_case() {
    let mut story = fork_with_switch("left");
    story.complete("b", json!({}));
    story.restart();
    story.complete("x", json!({}));
    story.complete("a", json!({"a": 1}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
    assert_eq!(story.run.workflow().output.as_ref(), &json!({"a": {"a": 1}}));
}

#[test]
fn a_join_does_not_wait_for_a_case_that_is_not_taken() {
    let mut story = fork_with_switch("right");
    story.restart();
    story.complete("b", json!({}));
    assert_eq!(story.task("j").status, TaskStatus::Completed);
    assert_eq!(story.open(), ["other"]);
    story.complete("other", json!({}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
}

#[test]
fn a_join_on_a_switch_waits_for_what_is_inside() {
    let fork = json!({
        "name": "f", "taskReferenceName": "f", "type": "FORK_JOIN",
        "forkTasks": [[switch(&json!({"left": [simple("l1"), simple("l2")]}), &json!([]))], [simple("b")]],
    });
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN", "joinOn": ["s", "b"]});
    let tasks = json!([fork, join]);
    let mut story = Story::start(json!({"tasks": tasks}), json!([]), json!({"way": "left"}));
    story.complete("b", json!({}));
    story.complete("l1", json!({}));
    assert_eq!(story.task("j").status, TaskStatus::InProgress);
    story.restart();
    story.complete("l2", json!({}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
    assert_eq!(story.task("j").output["s"]["selectedCase"], json!("left"));

    let mut story = Story::start(json!({"tasks": tasks}), json!([]), json!({"way": "none"}));
    story.complete("b", json!({}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
}
