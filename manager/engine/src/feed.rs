//! What is told to those who listen.

use conductor_model::{Outcome, TaskRecord, TaskStatus, WorkflowRecord, WorkflowStatus};
use serde_json::{Map, Value, json};

use crate::decision::Feed;

/// An entry about a task as it stands.
pub(crate) fn task(kind: &'static str, record: &TaskRecord) -> Feed {
    Feed { kind, task: Some(record.id), data: Value::Object(describe(record)) }
}

/// An entry about a workflow as it stands.
pub(crate) fn workflow(kind: &'static str, record: &WorkflowRecord) -> Feed {
    let mut data = json!({"name": record.name, "version": record.version, "status": record.status});
    if let Some(reason) = &record.reason {
        data["reason"] = json!(reason);
    }
    Feed { kind, task: None, data }
}

/// An entry about an alert.
pub(crate) fn alert(record: Option<&TaskRecord>, message: &str) -> Feed {
    let mut data = record.map(describe).unwrap_or_default();
    data.insert("message".to_owned(), json!(message));
    Feed { kind: "alert.raised", task: record.map(|record| record.id), data: Value::Object(data) }
}

fn describe(record: &TaskRecord) -> Map<String, Value> {
    let mut data = Map::new();
    let mut add = |key: &str, value: Value| data.insert(key.to_owned(), value);
    add("reference", json!(&*record.reference));
    add("definitionName", json!(&*record.definition_name));
    add("status", json!(record.status));
    add("attempt", json!(record.attempt));
    if let Some(worker) = &record.worker_id {
        add("workerId", json!(worker));
    }
    if let Some(reason) = &record.reason {
        add("reason", json!(reason));
    }
    if let Some(outcome) = &record.outcome {
        add("outcome", json!(outcome));
    }
    data
}

/// The kind of entry for a task that is over.
pub(crate) fn ending(record: &TaskRecord) -> &'static str {
    match (record.outcome, record.status) {
        (Some(Outcome::Lost), _) => "task.lost",
        (Some(Outcome::Refused), _) => "task.refused",
        (Some(Outcome::TimedOut), _) | (_, TaskStatus::TimedOut) => "task.timed-out",
        (_, TaskStatus::Canceled) => "task.canceled",
        (Some(Outcome::Failed | Outcome::FailedTerminally | Outcome::OutOfMemory), _) => "task.failed",
        (_, TaskStatus::Failed | TaskStatus::FailedWithTerminalError) => "task.failed",
        (
            _,
            TaskStatus::Completed
            | TaskStatus::CompletedWithErrors
            | TaskStatus::Skipped
            | TaskStatus::Scheduled
            | TaskStatus::InProgress,
        ) => "task.completed",
    }
}

/// The kind of entry for a workflow that is over.
pub(crate) fn workflow_ending(status: WorkflowStatus) -> &'static str {
    match status {
        WorkflowStatus::Completed | WorkflowStatus::Running | WorkflowStatus::Paused => "workflow.completed",
        WorkflowStatus::Failed => "workflow.failed",
        WorkflowStatus::TimedOut => "workflow.timed-out",
        WorkflowStatus::Terminated => "workflow.terminated",
    }
}
