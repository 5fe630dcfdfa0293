//! What is told to those who listen.

use conductor_model::{Details, Outcome, TaskRecord, TaskStatus, WorkflowRecord, WorkflowStatus};
use serde::Serialize;

use crate::decision::Feed;

/// What is told of a task. Fields are in the order of their names, as they have always been written.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TaskDetails<'a> {
    attempt: u32,
    definition_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    reference: &'a str,
    status: TaskStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker_id: Option<&'a str>,
}

/// What is told of a workflow.
#[derive(Serialize)]
struct WorkflowDetails<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    status: WorkflowStatus,
    version: i32,
}

/// What is told of an alert that is about no task.
#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

/// An entry about a task as it stands.
pub(crate) fn task(kind: &'static str, record: &TaskRecord) -> Feed {
    Feed { kind, task: Some(record.id), data: describe(record, None) }
}

/// An entry about a workflow as it stands.
pub(crate) fn workflow(kind: &'static str, record: &WorkflowRecord) -> Feed {
    let WorkflowRecord { name, reason, status, version, .. } = record;
    let data = Details::of(&WorkflowDetails { name, reason: reason.as_deref(), status: *status, version: *version });
    Feed { kind, task: None, data }
}

/// An entry about an alert.
pub(crate) fn alert(record: Option<&TaskRecord>, message: &str) -> Feed {
    let data = match record {
        Some(record) => describe(record, Some(message)),
        None => Details::of(&Message { message }),
    };
    Feed { kind: "alert.raised", task: record.map(|record| record.id), data }
}

fn describe(record: &TaskRecord, message: Option<&str>) -> Details {
    Details::of(&TaskDetails {
        attempt: record.attempt,
        definition_name: &record.definition_name,
        message,
        outcome: record.outcome,
        reason: record.reason.as_deref(),
        reference: &record.reference,
        status: record.status,
        worker_id: record.worker_id.as_deref(),
    })
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
