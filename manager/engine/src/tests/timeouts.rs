//! Timeouts of tasks and workflows.

use conductor_model::{TaskStatus, WorkflowStatus};
use serde_json::{Value, json};

use super::harness::{BEGIN, Story, simple};
use crate::{Effect, Event, Refusal, WorkerStatus};

fn start(mut definition: Value) -> Story {
    definition["name"] = json!("t");
    Story::start(json!({"tasks": [simple("t"), simple("after")]}), json!([definition]), json!({}))
}

#[test]
fn a_silent_worker_is_timed_out_and_the_task_tried_again_whatever_the_policy() {
    let mut story = start(json!({"responseTimeoutSeconds": 10, "timeoutPolicy": "TIME_OUT_WF", "retryCount": 1}));
    assert_eq!(story.task("t").timer_at, None, "nobody has it");
    story.poll("t");
    assert_eq!(story.task("t").timer_at, Some(BEGIN.plus_seconds(10)));
    story.wait(6);
    let mut lease = story.worker_update("t", WorkerStatus::InProgress, json!({}));
    lease.extend_lease = true;
    story.event(Event::Updated(lease));
    assert_eq!(story.task("t").timer_at, Some(BEGIN.plus_seconds(16)));
    story.time_out("t");
    assert_eq!(story.attempts("t"), [TaskStatus::TimedOut, TaskStatus::Scheduled]);
    let reason = story.task("t").reason.clone().unwrap();
    assert!(reason.starts_with("responseTimeout: 10 exceeded for the taskId: "), "{reason}");
    assert_eq!(story.status(), WorkflowStatus::Running);
}

#[test]
fn a_timer_that_is_not_due_changes_nothing() {
    let mut story = start(json!({"responseTimeoutSeconds": 10}));
    story.poll("t");
    let task = story.id("t");
    story.wait(9);
    assert_eq!(story.try_event(Event::TaskTimer { task }), Err(Refusal::NothingDue));
    assert_eq!(story.try_event(Event::WorkflowTimer), Err(Refusal::NothingDue));
}

#[test]
fn nobody_polls() {
    let mut story = start(json!({"pollTimeoutSeconds": 10, "timeoutPolicy": "RETRY", "retryCount": 1, "retryDelaySeconds": 7}));
    assert_eq!(story.task("t").timer_at, Some(BEGIN.plus_seconds(10)));
    story.time_out("t");
    assert_eq!(story.attempts("t"), [TaskStatus::TimedOut, TaskStatus::Scheduled]);
    // The next attempt is visible after 7 s; only then the wait for a poll begins.
    assert_eq!(story.task("t").timer_at, Some(BEGIN.plus_seconds(27)));
    story.time_out("t");
    assert_eq!(story.status(), WorkflowStatus::TimedOut, "attempts are used up");
}

#[test]
fn the_run_timeout_ends_the_workflow_at_once() {
    let mut story = start(json!({"timeoutSeconds": 30, "responseTimeoutSeconds": 20, "retryCount": 3}));
    story.poll("t");
    for _ in 0..2 {
        story.wait(14);
        let mut update = story.worker_update("t", WorkerStatus::InProgress, json!({}));
        update.extend_lease = true;
        story.event(Event::Updated(update));
    }
    story.time_out("t");
    assert_eq!(story.now, BEGIN.plus_seconds(30));
    assert_eq!(story.attempts("t"), [TaskStatus::TimedOut], "no other attempt although three are left");
    assert_eq!(story.status(), WorkflowStatus::TimedOut);
    assert!(story.run.workflow().reason.as_deref().is_some_and(|reason| reason.contains("timeout: 30 s exceeded")));
}

#[test]
fn the_run_timeout_with_policy_retry_tries_again() {
    let mut story = start(json!({"timeoutSeconds": 5, "responseTimeoutSeconds": 5, "timeoutPolicy": "RETRY", "retryCount": 1}));
    story.poll("t");
    story.time_out("t");
    assert_eq!(story.attempts("t"), [TaskStatus::TimedOut, TaskStatus::Scheduled]);
}

#[test]
fn an_alert_is_raised_once_for_each_timeout() {
    let mut story = start(json!({
        "timeoutSeconds": 30, "responseTimeoutSeconds": 30, "pollTimeoutSeconds": 10, "totalTimeoutSeconds": 100, "timeoutPolicy": "ALERT_ONLY",
    }));
    story.time_out("t");
    assert!(matches!(story.effects.as_slice(), [Effect::Alert { task: Some(_), .. }]));
    assert_eq!(story.task("t").status, TaskStatus::Scheduled);
    assert_eq!(story.task("t").timer_at, Some(BEGIN.plus_seconds(100)), "the poll timeout is not raised again");
    story.restart();
    story.poll("t");
    story.time_out("t");
    assert_eq!(story.now, BEGIN.plus_seconds(40));
    let attempts = [TaskStatus::TimedOut, TaskStatus::Scheduled];
    assert_eq!(story.attempts("t"), attempts, "the response timeout knows no alerts");
    assert_eq!(story.feed.iter().filter(|kind| **kind == "alert.raised").count(), 2);
}

#[test]
fn the_total_budget_counts_all_attempts() {
    let mut story =
        start(json!({"totalTimeoutSeconds": 50, "responseTimeoutSeconds": 20, "retryCount": 9, "retryDelaySeconds": 15}));
    story.poll("t");
    story.time_out("t");
    story.wait(15);
    story.poll("t");
    assert_eq!(story.task("t").timer_at, Some(BEGIN.plus_seconds(50)));
    story.time_out("t");
    assert_eq!(story.status(), WorkflowStatus::TimedOut);
    assert_eq!(story.attempts("t"), [TaskStatus::TimedOut; 2]);
}

#[test]
fn an_optional_step_does_not_soften_a_timeout_of_the_workflow() {
    let step = json!({"name": "t", "taskReferenceName": "t", "optional": true});
    let definition = json!([{"name": "t", "pollTimeoutSeconds": 5, "retryCount": 0}]);
    let mut story = Story::start(json!({"tasks": [step]}), definition, json!({}));
    story.time_out("t");
    assert_eq!((story.task("t").status, story.status()), (TaskStatus::TimedOut, WorkflowStatus::TimedOut));
}

#[test]
fn a_workflow_times_out() {
    let workflow = json!({"tasks": [simple("a")], "timeoutSeconds": 60, "timeoutPolicy": "TIME_OUT_WF"});
    let mut story = Story::start(workflow, json!([]), json!({}));
    assert_eq!(story.run.workflow().timer_at, Some(BEGIN.plus_seconds(60)));
    story.event(Event::Pause);
    story.wait(60);
    story.event(Event::WorkflowTimer);
    assert_eq!(story.status(), WorkflowStatus::TimedOut);
    assert_eq!(story.task("a").status, TaskStatus::Canceled);
}

#[test]
fn a_workflow_that_only_alerts_goes_on() {
    let mut story = Story::start(json!({"tasks": [simple("a")], "timeoutSeconds": 60}), json!([]), json!({}));
    story.wait(61);
    story.event(Event::WorkflowTimer);
    assert!(matches!(story.effects.as_slice(), [Effect::Alert { task: None, .. }]));
    assert_eq!(story.run.workflow().timer_at, None);
    assert_eq!(story.try_event(Event::WorkflowTimer), Err(Refusal::NothingDue));
    story.complete("a", json!({}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
}
