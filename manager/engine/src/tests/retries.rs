//! Another attempt.

use conductor_model::{TaskStatus, WorkflowStatus};
use serde_json::{Value, json};

use super::harness::{BEGIN, Story, simple};
use crate::{Event, WorkerStatus};

fn start(definition: Value) -> Story {
    let mut definition = definition;
    definition["name"] = json!("t");
    let step = json!({"name": "t", "taskReferenceName": "t", "inputParameters": {"last": "${workflow.output}"}});
    Story::start(json!({"tasks": [step, simple("after")]}), json!([definition]), json!({}))
}

#[test]
fn a_failed_task_is_tried_again_as_a_new_task() {
    let mut story = start(json!({"retryCount": 2, "retryDelaySeconds": 5}));
    let first = story.id("t");
    story.poll("t");
    story.wait(3);
    story.update("t", WorkerStatus::Failed, json!({"half": 1}));

    assert_eq!(story.tasks(), ["t FAILED", "t SCHEDULED"]);
    let old = story.run.task(first).unwrap();
    assert!(old.retried && old.reason.as_deref() == Some("it broke"));
    let new = story.task("t");
    assert_ne!(new.id, first);
    assert_eq!((new.seq, new.attempt, new.retried_task_id), (2, 1, Some(first)));
    assert_eq!((new.poll_count, new.started_at, new.ended_at, new.worker_id.clone()), (0, None, None, None));
    assert_eq!((new.scheduled_at, new.first_scheduled_at, new.visible_at), (story.now, BEGIN, story.now.plus_seconds(5)));
    assert_eq!((new.callback_after_seconds, new.reason.as_deref()), (5, Some("it broke")));
    assert_eq!(new.output.as_ref(), &json!({}));
    assert!(story.feed.contains(&"task.failed") && story.feed.contains(&"task.retried"));

    story.restart();
    story.wait(5);
    story.poll("t");
    story.complete("t", json!({}));
    assert_eq!(story.open(), ["after"]);
    assert_eq!(story.task("t").reason, None, "a success has no reason");
}

#[test]
fn when_attempts_are_used_up_the_workflow_fails() {
    let mut story = start(json!({"retryCount": 2, "retryDelaySeconds": 0}));
    for _ in 0..3 {
        story.fail("t");
    }
    assert_eq!(story.attempts("t"), [TaskStatus::Failed; 3]);
    assert_eq!(story.status(), WorkflowStatus::Failed);
}

#[test]
fn the_steps_own_number_comes_first() {
    let step = json!({"name": "t", "taskReferenceName": "t", "retryCount": 0});
    let mut story = Story::start(json!({"tasks": [step]}), json!([{"name": "t", "retryCount": 5}]), json!({}));
    story.fail("t");
    assert_eq!(story.status(), WorkflowStatus::Failed);

    let step = json!({"name": "t", "taskReferenceName": "t", "taskDefinition": {"name": "", "retryCount": 1}});
    let mut story = Story::start(json!({"tasks": [step]}), json!([{"name": "t", "retryCount": 0}]), json!({}));
    story.fail("t");
    assert_eq!(story.status(), WorkflowStatus::Running, "the inline definition allows another attempt");
}

#[test]
fn a_terminal_failure_is_not_tried_again() {
    let mut story = start(json!({"retryCount": 5}));
    story.update("t", WorkerStatus::FailedWithTerminalError, json!({}));
    assert_eq!(story.attempts("t"), [TaskStatus::FailedWithTerminalError]);
    assert_eq!(story.status(), WorkflowStatus::Failed);
}

#[test]
fn delays_follow_the_logic_with_cap_and_jitter() {
    let mut story = start(json!({
        "retryCount": 4, "retryLogic": "EXPONENTIAL_BACKOFF", "retryDelaySeconds": 4, "maxRetryDelaySeconds": 10, "backoffJitterMs": 1000,
    }));
    story.jitter = 0.25;
    let mut delays = Vec::new();
    for _ in 0..3 {
        story.fail("t");
        delays.push(story.task("t").visible_at.ms_since(story.now));
        story.now = story.task("t").visible_at;
    }
    assert_eq!(delays, [4250, 8250, 10_250]);
}

#[test]
fn a_delay_may_be_drawn_as_a_whole() {
    let mut story =
        start(json!({"retryCount": 3, "retryLogic": "EXPONENTIAL_BACKOFF", "retryDelaySeconds": 4, "fullJitter": true}));
    let mut delays = Vec::new();
    for jitter in [0.25, 0.0, 0.75] {
        story.jitter = jitter;
        story.fail("t");
        delays.push(story.task("t").visible_at.ms_since(story.now));
        story.now = story.task("t").visible_at;
    }
    assert_eq!(delays, [1000, 0, 12_000], "parts of 4, 8 and 16 s");
}

#[test]
fn no_attempt_is_made_when_the_total_budget_is_spent() {
    let mut story =
        start(json!({"retryCount": 9, "retryDelaySeconds": 0, "totalTimeoutSeconds": 60, "responseTimeoutSeconds": 30}));
    story.wait(40);
    story.fail("t");
    assert_eq!(story.attempts("t").len(), 2);
    assert_eq!(story.task("t").timer_at, Some(BEGIN.plus_seconds(60)));
    story.wait(20);
    story.fail("t");
    assert_eq!(story.attempts("t").len(), 2);
    assert_eq!(story.status(), WorkflowStatus::Failed);
}

#[test]
fn inputs_are_resolved_anew() {
    let fork = json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [
        [{"name": "t", "taskReferenceName": "t", "inputParameters": {"b": "${b.output.n}"}}], [simple("b")],
    ]});
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN"});
    let mut story = Story::start(json!({"tasks": [fork, join]}), json!([{"name": "t", "retryCount": 1}]), json!({}));
    assert_eq!(story.task("t").input.as_ref(), &json!({"b": null}));
    story.complete("b", json!({"n": 5}));
    story.fail("t");
    assert_eq!(story.task("t").input.as_ref(), &json!({"b": 5}));
    let task = story.id("t");
    assert!(story.try_event(Event::Polled { task, worker: "w".to_owned() }).is_err(), "not before its delay");
}
