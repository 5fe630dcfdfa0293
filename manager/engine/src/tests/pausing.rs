//! Pause and resume.

use conductor_model::{TaskStatus, WorkflowStatus};
use serde_json::json;

use super::harness::{BEGIN, Story, simple};
use crate::{Event, Refusal};

#[test]
fn nothing_new_is_scheduled_while_paused() {
    let mut story = Story::start(json!({"tasks": [simple("a"), simple("b")]}), json!([]), json!({}));
    story.poll("a");
    story.event(Event::Pause);
    assert_eq!(story.status(), WorkflowStatus::Paused);
    story.complete("a", json!({"n": 1}));
    assert_eq!(story.tasks(), ["a COMPLETED"], "the result is kept");
    story.restart();
    story.event(Event::Resume);
    assert_eq!(story.tasks(), ["a COMPLETED", "b SCHEDULED"]);
    assert_eq!(story.feed.iter().filter(|kind| kind.starts_with("workflow.")).count(), 3);
}

#[test]
fn without_a_restart_it_is_the_same() {
    let mut story = Story::start(json!({"tasks": [simple("a"), simple("b")]}), json!([]), json!({}));
    story.event(Event::Pause);
    story.complete("a", json!({}));
    story.event(Event::Resume);
    assert_eq!(story.open(), ["b"]);
}

#[test]
fn a_paused_workflow_ends_when_it_goes_on() {
    let mut story = Story::start(json!({"tasks": [simple("a")]}), json!([]), json!({}));
    story.event(Event::Pause);
    story.complete("a", json!({"x": 1}));
    assert_eq!(story.status(), WorkflowStatus::Paused);
    story.restart();
    story.event(Event::Resume);
    assert_eq!(story.status(), WorkflowStatus::Completed);
}

#[test]
fn failures_are_followed_up_when_it_goes_on() {
    let definitions = json!([{"name": "a", "retryCount": 1, "retryDelaySeconds": 5}]);
    let mut story = Story::start(json!({"tasks": [simple("a")]}), definitions, json!({}));
    story.event(Event::Pause);
    story.fail("a");
    assert_eq!(story.attempts("a"), [TaskStatus::Failed]);
    story.wait(100);
    story.restart();
    story.event(Event::Resume);
    assert_eq!(story.attempts("a"), [TaskStatus::Failed, TaskStatus::Scheduled]);
    assert_eq!(story.task("a").visible_at, story.now.plus_seconds(5));
    story.event(Event::Pause);
    story.fail("a");
    assert_eq!(story.status(), WorkflowStatus::Paused);
    story.event(Event::Resume);
    assert_eq!(story.status(), WorkflowStatus::Failed);
}

#[test]
fn a_join_is_followed_up_once_also_after_a_restart() {
    let fork = json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN",
        "forkTasks": [[simple("a")], [simple("b"), simple("b2")], [simple("c")]]});
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN"});
    let tasks = json!([fork, join, simple("after")]);
    for restart in [false, true] {
        let mut story = Story::start(json!({"tasks": tasks}), json!([]), json!({}));
        story.complete("a", json!({}));
        story.event(Event::Pause);
        story.complete("b", json!({}));
        story.complete("c", json!({}));
        if restart {
            story.restart();
        }
        story.event(Event::Resume);
        assert_eq!(story.open(), ["j", "b2"]);
        story.event(Event::Pause);
        story.complete("b2", json!({}));
        assert_eq!(story.task("j").status, TaskStatus::InProgress);
        if restart {
            story.restart();
        }
        story.event(Event::Resume);
        assert_eq!(story.open(), ["after"]);
    }
}

#[test]
fn the_end_of_a_case_is_followed_up() {
    let switch = json!({"name": "s", "taskReferenceName": "s", "type": "SWITCH", "expression": "w", "inputParameters": {"w": "x"},
        "decisionCases": {"x": [simple("a")]}});
    let mut story = Story::start(json!({"tasks": [switch, simple("after")]}), json!([]), json!({}));
    story.event(Event::Pause);
    story.complete("a", json!({}));
    story.restart();
    story.event(Event::Resume);
    assert_eq!(story.open(), ["after"]);
}

#[test]
fn a_paused_workflow_gives_out_no_tasks() {
    let mut story = Story::start(json!({"tasks": [simple("a")]}), json!([]), json!({}));
    story.event(Event::Pause);
    let task = story.id("a");
    assert!(matches!(
        story.try_event(Event::Polled { task, worker: "w".to_owned() }),
        Err(Refusal::WorkflowStatus { status: WorkflowStatus::Paused, .. })
    ));
    assert!(matches!(story.try_event(Event::Pause), Err(Refusal::WorkflowStatus { .. })));
    story.event(Event::Resume);
    assert!(matches!(story.try_event(Event::Resume), Err(Refusal::WorkflowStatus { .. })));
    story.poll("a");
}

#[test]
fn the_wait_for_a_poll_begins_anew_after_a_pause() {
    let definitions = json!([{"name": "a", "pollTimeoutSeconds": 10}]);
    let mut story = Story::start(json!({"tasks": [simple("a")]}), definitions, json!({}));
    assert_eq!(story.task("a").timer_at, Some(BEGIN.plus_seconds(10)));
    story.event(Event::Pause);
    assert_eq!(story.task("a").timer_at, None);
    story.wait(100);
    let task = story.id("a");
    assert_eq!(story.try_event(Event::TaskTimer { task }), Err(Refusal::NothingDue));
    story.event(Event::Resume);
    assert_eq!(story.task("a").timer_at, Some(story.now.plus_seconds(10)));
}

#[test]
fn a_timeout_of_the_workflow_by_a_task_does_not_wait() {
    let definitions = json!([{"name": "a", "timeoutSeconds": 10, "responseTimeoutSeconds": 10}]);
    let mut story = Story::start(json!({"tasks": [simple("a")]}), definitions, json!({}));
    story.poll("a");
    story.event(Event::Pause);
    story.time_out("a");
    assert_eq!(story.status(), WorkflowStatus::TimedOut);
}

#[test]
fn a_paused_workflow_can_be_terminated() {
    let mut story = Story::start(json!({"tasks": [simple("a"), simple("b")]}), json!([]), json!({}));
    story.event(Event::Pause);
    story.complete("a", json!({}));
    story.event(Event::Terminate { reason: None });
    assert_eq!(story.status(), WorkflowStatus::Terminated);
    assert_eq!(story.tasks(), ["a COMPLETED"]);
}
