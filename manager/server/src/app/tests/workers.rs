//! Workers that poll.

use conductor_engine::WorkerStatus;
use conductor_model::{TaskStatus, WorkflowStatus};
use serde_json::json;

use super::*;
use crate::app::{AppError, IdempotencyStrategy};

#[tokio::test]
async fn a_worker_serves_a_workflow_to_its_end() {
    let world = World::new();
    world.define(json!([]), two_steps()).await;
    let id = world.start("two_steps").await;
    let first = world.poll("first").await.expect("the first step waits");
    assert_eq!(first.status, TaskStatus::InProgress);
    assert_eq!(world.poll("second").await, None, "the second step waits for the first");
    world.complete(first.id).await;
    let second = world.poll("second").await.expect("the second step waits");
    world.complete(second.id).await;
    assert_eq!(world.workflow(id).await.status, WorkflowStatus::Completed);
}

#[tokio::test]
async fn a_task_is_handed_out_once_whoever_polls() {
    let world = World::new();
    world.define(json!([]), two_steps()).await;
    world.start("two_steps").await;
    let polls = (0..20).map(|_| world.poll("first"));
    let taken = futures_util::future::join_all(polls).await.into_iter().flatten().count();
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn a_long_poll_wakes_when_a_task_comes() {
    let world = World::new();
    world.define(json!([]), two_steps()).await;
    let app = world.app.clone();
    let waiting =
        tokio::spawn(
            async move { app.poll_tasks(&tenant(), "first", None, "patient", 1, Duration::from_secs(60)).await.unwrap() },
        );
    while world.app.inner.core.ask(|reply| Message::Queues { tenant: tenant(), reply }).await.is_err() {}
    world.start("two_steps").await;
    let tasks = tokio::time::timeout(PATIENCE, waiting).await.expect("the poll wakes").unwrap();
    assert_eq!(tasks.len(), 1);
    assert_eq!(tasks[0].task.worker_id.as_deref(), Some("patient"));
}

#[tokio::test]
async fn a_long_poll_ends_empty_when_nothing_comes() {
    let world = World::new();
    let wait = Duration::from_millis(50);
    let tasks = world.app.poll_tasks(&tenant(), "nothing", None, "w", 1, wait).await.unwrap();
    assert!(tasks.is_empty());
}

#[tokio::test]
async fn a_paused_workflow_hands_out_nothing_until_it_is_resumed() {
    let world = World::new();
    world.define(json!([]), two_steps()).await;
    let id = world.start("two_steps").await;
    world.app.pause_workflow(&tenant(), id).await.unwrap();
    assert_eq!(world.poll("first").await, None);
    world.app.pause_workflow(&tenant(), id).await.expect("pausing again does nothing");
    world.app.resume_workflow(&tenant(), id).await.unwrap();
    assert!(world.poll("first").await.is_some());
}

#[tokio::test]
async fn a_restarted_manager_goes_on_where_it_was() {
    let world = World::new();
    world.define(json!([]), two_steps()).await;
    let id = world.start("two_steps").await;
    let first = world.poll("first").await.unwrap();
    let world = world.restarted();
    assert_eq!(world.poll("first").await, None, "the task is still with its worker");
    world.complete(first.id).await;
    let world = world.restarted();
    let second = world.poll("second").await.expect("what was scheduled waits again");
    world.complete(second.id).await;
    assert_eq!(world.workflow(id).await.status, WorkflowStatus::Completed);
}

#[tokio::test]
async fn an_idempotency_key_starts_one_workflow() {
    let world = World::new();
    world.define(json!([]), two_steps()).await;
    let start = |idempotency| {
        let command = StartCommand {
            name: "two_steps".to_owned(),
            idempotency_key: Some("order-17".to_owned()),
            idempotency,
            ..StartCommand::default()
        };
        let app = world.app.clone();
        async move { app.start_workflow(&tenant(), command).await }
    };
    let starts = (0..10).map(|_| start(IdempotencyStrategy::ReturnExisting));
    let ids: Vec<_> = futures_util::future::join_all(starts).await.into_iter().map(Result::unwrap).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "every start answers with the first run");
    let refused = start(IdempotencyStrategy::Fail).await.unwrap_err();
    assert_eq!(refused.code(), "idempotency-key-used");
    let refused = start(IdempotencyStrategy::FailOnRunning).await.unwrap_err();
    assert_eq!(refused.code(), "idempotency-key-used");
    world.app.terminate_workflow(&tenant(), ids[0], None).await.unwrap();
    let again = start(IdempotencyStrategy::FailOnRunning).await.expect("the first run is over");
    assert_ne!(again, ids[0]);
}

#[tokio::test]
async fn a_report_on_a_task_that_is_over_is_dropped() {
    let world = World::new();
    world.define(json!([]), two_steps()).await;
    let id = world.start("two_steps").await;
    let first = world.poll("first").await.unwrap();
    world.complete(first.id).await;
    world.app.update_task(&tenant(), update(first.id, WorkerStatus::Failed)).await.expect("accepted and dropped");
    assert_eq!(world.tasks(id).await[0].status, TaskStatus::Completed);
}

#[tokio::test]
async fn nobody_sees_or_touches_what_is_another_tenants() {
    let world = World::new();
    world.define(json!([]), two_steps()).await;
    let id = world.start("two_steps").await;
    let first = world.poll("first").await.unwrap();
    let stranger: TenantName = "stranger".parse().unwrap();
    let refused = world.app.terminate_workflow(&stranger, id, None).await.unwrap_err();
    assert!(matches!(refused, AppError::NotFound { .. }), "{refused:?}");
    let refused = world.app.update_task(&stranger, update(first.id, WorkerStatus::Completed)).await.unwrap_err();
    assert!(matches!(refused, AppError::NotFound { .. }), "{refused:?}");
    let polled = world.app.poll_tasks(&stranger, "first", None, "w", 1, Duration::ZERO).await.unwrap();
    assert!(polled.is_empty());
}

#[tokio::test]
async fn a_retry_delay_passes_before_the_next_attempt() {
    let world = World::new();
    let task = json!([{ "name": "first", "retryCount": 1, "retryDelaySeconds": 1 }]);
    world.define(task, two_steps()).await;
    world.start("two_steps").await;
    let first = world.poll("first").await.unwrap();
    world.app.update_task(&tenant(), update(first.id, WorkerStatus::Failed)).await.unwrap();
    assert_eq!(world.poll("first").await, None, "the delay has not passed");
    let wait = Duration::from_secs(5);
    let begun = Instant::now();
    let again = world.app.poll_tasks(&tenant(), "first", None, "w", 1, wait).await.unwrap();
    assert_eq!(again.len(), 1, "the next attempt comes by itself");
    assert_eq!(again[0].task.attempt, 1);
    assert!(begun.elapsed() < Duration::from_secs(2), "it comes when it is due, not when the poll ends");
}

/// How late a timeout may be on a busy machine, in ms.
const LATE_MS_MAX: i64 = 1_000;

#[tokio::test]
async fn a_silent_worker_and_a_long_run_are_ended_when_their_time_is_over() {
    let world = World::new();
    let tasks = json!([
        { "name": "silent", "retryCount": 0, "responseTimeoutSeconds": 1 },
        { "name": "long", "retryCount": 0, "responseTimeoutSeconds": 1, "timeoutSeconds": 1, "timeoutPolicy": "TIME_OUT_WF" },
    ]);
    for name in ["silent", "long"] {
        let workflow = json!({ "name": name, "tasks": [{ "name": name, "taskReferenceName": name }] });
        world.define(if name == "silent" { tasks.clone() } else { json!([]) }, workflow).await;
        let id = world.start(name).await;
        let task = world.poll(name).await.unwrap();
        let begun = Instant::now();
        world.until(id, "the timeout", |workflow, _| workflow.status == WorkflowStatus::TimedOut).await;
        let (took, ended) = (begun.elapsed(), world.tasks(id).await.remove(0));
        assert_eq!(ended.status, TaskStatus::TimedOut);
        let after = ended.ended_at.unwrap().ms_since(task.started_at.unwrap());
        assert!((1_000..1_000 + LATE_MS_MAX).contains(&after), "{name} was ended after {after} ms");
        assert!(took < Duration::from_secs(3), "{name} took {took:?}");
    }
}
