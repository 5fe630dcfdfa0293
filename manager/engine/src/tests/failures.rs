//! Optional and permissive steps, and the end of a workflow.

use conductor_model::{TaskStatus, WorkflowStatus};
use serde_json::{Value, json};

use super::harness::{Story, simple};
use crate::{Event, Refusal, WorkerStatus};

fn step(reference: &str, flag: &str) -> Value {
    json!({"name": reference, "taskReferenceName": reference, flag: true})
}

fn forked(flag: &str, definitions: Value) -> Story {
    let fork =
        json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [[step("a", flag)], [simple("b")]]});
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN", "joinOn": ["a", "b"]});
    Story::start(json!({"tasks": [fork, join, simple("after")]}), definitions, json!({}))
}

#[test]
fn an_optional_failure_lets_the_flow_go_on() {
    let mut story = forked("optional", json!([{"name": "a", "retryCount": 1, "retryDelaySeconds": 0}]));
    story.fail("a");
    assert_eq!(story.attempts("a"), [TaskStatus::Failed, TaskStatus::Scheduled], "it is tried again first");
    story.fail("a");
    assert_eq!(story.attempts("a"), [TaskStatus::Failed, TaskStatus::CompletedWithErrors]);
    story.restart();
    story.complete("b", json!({"b": 1}));
    assert_eq!(story.task("j").status, TaskStatus::CompletedWithErrors);
    assert_eq!(story.task("j").output.as_ref(), &json!({"b": {"b": 1}}));
    story.complete("after", json!({}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
}

#[test]
fn a_permissive_failure_fails_the_workflow_at_its_end() {
    let mut story = forked("permissive", json!([]));
    story.fail("a");
    assert_eq!(story.task("a").status, TaskStatus::Failed);
    assert_eq!(story.status(), WorkflowStatus::Running);
    story.restart();
    story.complete("b", json!({}));
    assert_eq!(story.task("j").status, TaskStatus::CompletedWithErrors);
    story.complete("after", json!({"x": 1}));
    assert_eq!(story.status(), WorkflowStatus::Failed);
    assert_eq!(story.run.workflow().reason.as_deref(), Some("steps failed that the workflow went on without: a"));
    assert_eq!(story.run.workflow().output.as_ref(), &json!({"x": 1}));
}

#[test]
fn a_failed_branch_ends_the_workflow_and_cancels_what_is_open() {
    let mut story = forked("irrelevant", json!([]));
    story.poll("b");
    story.update("a", WorkerStatus::FailedWithTerminalError, json!({"why": "x"}));
    assert_eq!(story.status(), WorkflowStatus::Failed);
    assert_eq!(story.tasks(), ["f COMPLETED", "a FAILED_WITH_TERMINAL_ERROR", "b CANCELED", "j CANCELED"]);
    assert!(story.task("b").reason.as_deref().is_some_and(|reason| reason.contains("FAILED")));
    let late = story.worker_update("b", WorkerStatus::Completed, json!({}));
    assert!(matches!(story.try_event(Event::Updated(late)), Err(Refusal::TaskOver { .. })));
}

#[test]
fn terminating_cancels_everything() {
    let mut story = forked("irrelevant", json!([]));
    story.event(Event::Terminate { reason: Some("no more".to_owned()) });
    assert_eq!(story.status(), WorkflowStatus::Terminated);
    assert_eq!(story.run.workflow().reason.as_deref(), Some("no more"));
    assert!(story.open().is_empty());
    assert!(story.feed.ends_with(&["workflow.terminated"]));
    for event in [Event::Terminate { reason: None }, Event::Pause, Event::Resume, Event::WorkflowTimer] {
        assert!(matches!(story.try_event(event), Err(Refusal::WorkflowStatus { status: WorkflowStatus::Terminated, .. })));
    }
}

#[test]
fn a_completed_workflow_cannot_be_terminated() {
    let mut story = Story::start(json!({"tasks": [simple("a")]}), json!([]), json!({}));
    story.complete("a", json!({}));
    assert!(matches!(
        story.try_event(Event::Terminate { reason: None }),
        Err(Refusal::WorkflowStatus { status: WorkflowStatus::Completed, .. })
    ));
}

/// A text of a million bytes.
fn large() -> String {
    "x".repeat(1_000_000)
}

#[test]
fn an_input_that_grows_too_large_ends_the_task_for_good() {
    let uses: Vec<&str> = vec!["${workflow.input.large}"; 4];
    let input = json!({"large": large()});
    let step = json!({"name": "a", "taskReferenceName": "a", "inputParameters": {"all": uses}});
    let story = Story::start(json!({"tasks": [step]}), json!([]), input.clone());
    assert_eq!(story.tasks(), ["a FAILED_WITH_TERMINAL_ERROR"]);
    assert!(story.task("a").reason.as_deref().is_some_and(|reason| reason.contains("more than 3145728 bytes")));
    assert_eq!(story.status(), WorkflowStatus::Failed);

    // A switch that cannot be decided takes no case, and joins do not wait for its steps.
    let switch = json!({"name": "s", "taskReferenceName": "s", "type": "SWITCH", "expression": "all", "optional": true,
        "inputParameters": {"all": uses}, "decisionCases": {"x": [simple("x")]}, "defaultCase": [simple("d")]});
    let fork = json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [[switch], [simple("b")]]});
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN", "joinOn": ["x", "d", "b"]});
    let mut story = Story::start(json!({"tasks": [fork, join]}), json!([]), input);
    assert_eq!(story.task("s").status, TaskStatus::CompletedWithErrors);
    assert_eq!(story.open(), ["b", "j"]);
    story.restart();
    story.complete("b", json!({}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
}

#[test]
fn what_is_put_inside_itself_step_by_step_ends_before_it_nests_too_deep_to_be_stored() {
    let step =
        |n: usize, from: String| json!({"name": "t", "taskReferenceName": format!("t{n}"), "inputParameters": {"a": [[from]]}});
    let steps: Vec<Value> = (1..60).map(|n| step(n, format!("${{t{}.input}}", n - 1))).collect();
    let steps: Vec<Value> = std::iter::once(step(0, "x".to_owned())).chain(steps).collect();
    let mut story = Story::start(json!({"tasks": steps}), json!([]), json!({}));
    let mut deepest = String::new();
    for n in 0..60 {
        let task = story.task(&format!("t{n}"));
        if task.status.is_terminal() {
            assert_eq!(task.status, TaskStatus::FailedWithTerminalError);
            assert!(task.reason.as_deref().is_some_and(|reason| reason.contains("nests deeper than 100 levels")));
            assert_eq!(story.status(), WorkflowStatus::Failed);
            assert!(serde_json::from_str::<Value>(&deepest).is_ok());
            return;
        }
        deepest = task.input.to_string();
        story.complete(&format!("t{n}"), json!({}));
    }
    panic!("nothing was too deep");
}

#[test]
fn outputs_that_are_too_large_together_are_not_joined() {
    let branches: Vec<Value> = (0..17).map(|n| json!([simple(&format!("t{n}"))])).collect();
    let fork = json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": branches});
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN"});
    let mut story = Story::start(json!({"tasks": [fork, join]}), json!([]), json!({}));
    for n in 0..17 {
        story.complete(&format!("t{n}"), json!({"large": large()}));
    }
    assert_eq!(story.task("j").status, TaskStatus::FailedWithTerminalError);
    assert!(story.task("j").reason.as_deref().is_some_and(|reason| reason.contains("16777216 bytes together")));
}

#[test]
fn a_workflow_whose_output_is_too_large_has_failed() {
    let workflow = json!({"tasks": [simple("a")], "outputParameters": {"all": vec!["${workflow.input.large}"; 17]}});
    let mut story = Story::start(workflow, json!([]), json!({"large": large()}));
    story.complete("a", json!({}));
    assert_eq!(story.status(), WorkflowStatus::Failed);
    assert_eq!(story.run.workflow().output.as_ref(), &json!({}));
    assert!(story.feed.ends_with(&["workflow.failed"]));
}

#[test]
fn joins_cannot_be_polled_or_updated() {
    let mut story = forked("irrelevant", json!([]));
    let task = story.id("j");
    assert!(matches!(story.try_event(Event::Polled { task, worker: "w".to_owned() }), Err(Refusal::TaskStatus { .. })));
    let update = story.worker_update("j", WorkerStatus::Completed, json!({}));
    assert!(matches!(story.try_event(Event::Updated(update)), Err(Refusal::TaskStatus { .. })));
}
