//! Expressions that must find something.

use conductor_model::{TaskStatus, WorkflowStatus};
use serde_json::{Value, json};

use super::harness::{Story, simple};

fn strict(steps: Value, output: Value) -> Value {
    json!({"tasks": steps, "outputParameters": output, "strictExpressions": true})
}

fn start(workflow: Value) -> Story {
    Story::start(workflow, json!([]), json!({"there": null, "list": []}))
}

fn asking(reference: &str, input: Value) -> Value {
    json!({"name": reference, "taskReferenceName": reference, "inputParameters": input})
}

#[test]
fn a_step_whose_input_is_not_there_ends_before_it_is_handed_out() {
    let input = json!({"server": {"ports": [80, "${first.output.port}"]}});
    let mut story = start(strict(json!([simple("first"), asking("second", input)]), json!({})));
    story.complete("first", json!({"host": "a"}));
    let second = story.task("second");
    assert_eq!((second.status, story.status()), (TaskStatus::FailedWithTerminalError, WorkflowStatus::Failed));
    let reason = "inputParameters.server.ports[1] is to be `${first.output.port}`, and nothing is there";
    assert_eq!(second.reason.as_deref(), Some(reason));
    assert_eq!(story.attempts("second").len(), 1, "no other attempt could mend it");
}

#[test]
fn a_null_that_is_there_and_an_empty_list_are_found() {
    let input =
        json!({"null": "${workflow.input.there}", "list": "${workflow.input.list[*].x}", "text": "a${workflow.input.there}"});
    let story = start(strict(json!([asking("t", input)]), json!({})));
    assert_eq!(story.task("t").input.as_ref(), &json!({"null": null, "list": [], "text": "anull"}));
}

#[test]
fn a_step_that_was_not_reached_is_not_there() {
    let case = json!({"name": "s", "taskReferenceName": "s", "type": "SWITCH", "expression": "n", "inputParameters": {"n": "x"},
        "decisionCases": {"y": [simple("skipped")]}});
    let story = start(strict(json!([case, asking("t", json!({"text": "is ${skipped.output.x}!"}))]), json!({})));
    let reason = story.task("t").reason.clone().unwrap();
    assert!(reason.starts_with("inputParameters.text is to be `${skipped.output.x}`"), "{reason}");
}

#[test]
fn of_an_expression_in_another_both_must_be_there() {
    let nested = |inner: &str| asking("t", json!({"x": format!("${{workflow.input.${{workflow.input.{inner}}}}}")}));
    let story =
        |inner| Story::start(strict(json!([nested(inner)]), json!({})), json!([]), json!({"key": "gone", "own": "own"}));
    let reason = |inner| story(inner).task("t").reason.clone().unwrap_or_default();
    assert!(reason("nothing").contains("`${workflow.input.nothing}`"), "{}", reason("nothing"));
    assert!(reason("key").contains("`${workflow.input.gone}`"), "{}", reason("key"));
    assert_eq!(story("own").task("t").input.as_ref(), &json!({"x": "own"}));
}

#[test]
fn what_stands_beside_an_input_must_be_there_too() {
    let step = json!({"name": "lp", "taskReferenceName": "lp", "type": "DO_WHILE", "items": "${workflow.input.nothing}",
        "loopOver": [simple("t")]});
    let story = start(strict(json!([step]), json!({})));
    let reason = story.task("lp").reason.clone().unwrap();
    assert_eq!(reason, "items is to be `${workflow.input.nothing}`, and nothing is there");
}

#[test]
fn a_workflow_without_its_output_fails_and_says_why() {
    let output = json!({"port": "${t.output.port}", "host": "${t.output.host}"});
    let mut story = start(strict(json!([simple("t")]), output.clone()));
    story.complete("t", json!({"host": "a"}));
    assert_eq!(story.status(), WorkflowStatus::Failed);
    let reason = story.run.workflow().reason.clone().unwrap();
    assert!(reason.ends_with("outputParameters.port is to be `${t.output.port}`, and nothing is there"), "{reason}");

    let mut story = start(strict(json!([simple("t")]), output.clone()));
    story.complete("t", json!({"host": "a", "port": null}));
    assert_eq!(story.run.workflow().output.as_ref(), &json!({"host": "a", "port": null}));

    // Why it failed is not covered by what is missing because of that.
    let mut story = start(strict(json!([simple("t")]), output));
    story.fail("t");
    assert!(story.run.workflow().reason.as_ref().unwrap().contains("it broke"), "{:?}", story.run.workflow().reason);
    assert_eq!(story.run.workflow().output.as_ref(), &json!({"host": null, "port": null}));
}

#[test]
fn what_a_task_definition_fills_in_need_not_be_there() {
    let definition = json!([{"name": "t", "inputTemplate": {"a": "${workflow.input.nothing}"}}]);
    let story = Story::start(strict(json!([simple("t")]), json!({})), definition, json!({}));
    assert_eq!(story.task("t").input.as_ref(), &json!({"a": null}));
}

#[test]
fn unless_it_is_asked_for_nothing_comes_to_null() {
    let steps = json!([asking("t", json!({"x": "${workflow.input.nothing}"}))]);
    let mut story = start(json!({"tasks": steps, "outputParameters": {"y": "${t.output.nothing}"}}));
    assert_eq!(story.task("t").input.as_ref(), &json!({"x": null}));
    story.complete("t", json!({}));
    assert_eq!((story.status(), story.run.workflow().output.as_ref()), (WorkflowStatus::Completed, &json!({"y": null})));
}
