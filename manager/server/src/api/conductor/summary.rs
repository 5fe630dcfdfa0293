//! The rows of Conductor's searches: WorkflowSummary and TaskSummary. Their times are ISO texts, their inputs and outputs
//! JSON texts.

use std::collections::BTreeMap;

use conductor_engine::shown_task_type;
use conductor_model::{TaskId, TaskRecord, Timestamp, WorkflowId, WorkflowRecord};
use serde::Serialize;
use serde_json::Value;

use crate::api::iso;

/// Conductor's WorkflowSummary.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WorkflowSummary<'a> {
    workflow_type: &'a str,
    version: i32,
    workflow_id: WorkflowId,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    start_time: String,
    update_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<String>,
    status: &'static str,
    input: String,
    output: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_for_incompletion: Option<&'a str>,
    execution_time: i64,
    failed_reference_task_names: String,
    failed_task_names: Vec<&'a str>,
    priority: u8,
    input_size: usize,
    output_size: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_workflow_id: Option<WorkflowId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    task_to_domain: &'a BTreeMap<String, String>,
}

/// Conductor's TaskSummary.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskSummary<'a> {
    workflow_id: WorkflowId,
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    task_id: TaskId,
    task_type: &'a str,
    task_def_name: &'a str,
    reference_task_name: &'a str,
    scheduled_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<String>,
    update_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<String>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_for_incompletion: Option<&'a str>,
    execution_time: i64,
    queue_wait_time: i64,
    input: String,
    output: String,
    workflow_priority: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a str>,
}

impl<'a> WorkflowSummary<'a> {
    pub(super) fn new(workflow: &'a WorkflowRecord) -> Self {
        let (input, output) = (json_text(&workflow.input), json_text(&workflow.output));
        Self {
            workflow_type: &workflow.name,
            version: workflow.version,
            workflow_id: workflow.id,
            correlation_id: workflow.correlation_id.as_deref(),
            start_time: iso(workflow.created_at),
            update_time: iso(workflow.updated_at),
            end_time: workflow.ended_at.map(iso),
            status: workflow.status.as_str(),
            reason_for_incompletion: workflow.reason.as_deref(),
            execution_time: workflow.ended_at.map_or(0, |ended| ended.ms_since(workflow.created_at)),
            failed_reference_task_names: workflow.failed_references.iter().map(String::as_str).collect::<Vec<_>>().join(","),
            failed_task_names: workflow.failed_task_names.iter().map(String::as_str).collect(),
            priority: workflow.priority,
            input_size: input.len(),
            output_size: output.len(),
            input,
            output,
            created_by: workflow.created_by.as_deref(),
            idempotency_key: workflow.idempotency_key.as_deref(),
            parent_workflow_id: workflow.parent_workflow_id,
            event: workflow.event.as_deref(),
            task_to_domain: &workflow.task_to_domain,
        }
    }
}

impl<'a> TaskSummary<'a> {
    /// A task of `workflow`.
    pub(super) fn new(task: &'a TaskRecord, workflow: Option<&'a WorkflowRecord>) -> Self {
        let ended = |from: Timestamp| task.ended_at.map_or(0, |ended| ended.ms_since(from));
        Self {
            workflow_id: task.workflow_id,
            workflow_type: workflow.map(|workflow| workflow.name.as_str()),
            correlation_id: workflow.and_then(|workflow| workflow.correlation_id.as_deref()),
            task_id: task.id,
            task_type: shown_task_type(task),
            task_def_name: &task.definition_name,
            reference_task_name: &task.reference,
            scheduled_time: iso(task.scheduled_at),
            start_time: task.started_at.map(iso),
            update_time: iso(task.updated_at),
            end_time: task.ended_at.map(iso),
            status: task.status.as_str(),
            reason_for_incompletion: task.reason.as_deref(),
            execution_time: task.started_at.map_or(0, ended),
            queue_wait_time: task.started_at.map_or(0, |started| started.ms_since(task.scheduled_at).max(0)),
            input: json_text(&task.input),
            output: json_text(&task.output),
            workflow_priority: task.priority,
            domain: task.domain.as_deref(),
        }
    }
}

fn json_text(value: &Value) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::tests::sample;

    #[test]
    fn times_are_iso_texts_with_milliseconds() {
        assert_eq!(iso(Timestamp(1_795_327_729_966)), "2026-11-22T06:08:49.966Z");
        assert_eq!(iso(Timestamp(0)), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_summary_has_json_texts_for_input_and_output() {
        let (workflow, _, tasks) = sample::forked_run();
        let row = json!(WorkflowSummary::new(&workflow));
        assert_eq!(row["input"], r#"{"name":"Bob"}"#);
        assert_eq!(row["workflowType"], "greetings");
        assert_eq!(json!(TaskSummary::new(&tasks[1], Some(&workflow)))["taskType"], "greet");
    }
}
