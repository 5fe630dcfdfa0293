//! Shapes of the Conductor API.
#![expect(dead_code, reason = "only read by the description of the API")]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

use super::Object;

/// A run of a workflow definition.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::api) struct Workflow {
    workflow_id: String,
    workflow_name: String,
    workflow_version: i32,
    /// RUNNING, COMPLETED, FAILED, TIMED_OUT, TERMINATED or PAUSED.
    status: String,
    create_time: i64,
    start_time: i64,
    update_time: i64,
    /// 0 while it goes on.
    end_time: i64,
    input: Value,
    output: Value,
    variables: Value,
    /// Absent where they are not asked for.
    tasks: Option<Vec<Task>>,
    correlation_id: Option<String>,
    idempotency_key: Option<String>,
    priority: u8,
    task_to_domain: BTreeMap<String, String>,
    parent_workflow_id: Option<String>,
    reason_for_incompletion: Option<String>,
    failed_reference_task_names: Vec<String>,
    failed_task_names: Vec<String>,
    created_by: Option<String>,
    rate_limit_key: Option<String>,
    rate_limited: bool,
    workflow_definition: WorkflowDef,
}

/// One attempt at one step.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::api) struct Task {
    task_id: String,
    task_type: String,
    task_def_name: String,
    /// SCHEDULED, IN_PROGRESS, COMPLETED, COMPLETED_WITH_ERRORS, FAILED, FAILED_WITH_TERMINAL_ERROR, TIMED_OUT, CANCELED or
    /// SKIPPED.
    status: String,
    reference_task_name: String,
    workflow_instance_id: String,
    workflow_type: String,
    input_data: Value,
    output_data: Value,
    retry_count: u32,
    seq: u32,
    poll_count: u32,
    scheduled_time: i64,
    start_time: i64,
    end_time: i64,
    update_time: i64,
    retried: bool,
    executed: bool,
    response_timeout_seconds: i64,
    callback_after_seconds: i64,
    iteration: u32,
    queue_wait_time: i64,
    workflow_priority: u8,
    reason_for_incompletion: Option<String>,
    worker_id: Option<String>,
    domain: Option<String>,
    sub_workflow_id: Option<String>,
    task_definition: Option<TaskDef>,
}

/// A workflow as searches show it: times are ISO texts, input and output JSON texts.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::api) struct WorkflowSummary {
    workflow_type: String,
    version: i32,
    workflow_id: String,
    correlation_id: Option<String>,
    start_time: String,
    update_time: String,
    end_time: Option<String>,
    status: String,
    input: String,
    output: String,
    reason_for_incompletion: Option<String>,
    execution_time: i64,
    failed_reference_task_names: String,
    failed_task_names: Vec<String>,
    priority: u8,
    input_size: u64,
    output_size: u64,
}

/// A task as searches show it: times are ISO texts, input and output JSON texts.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::api) struct TaskSummary {
    workflow_id: String,
    workflow_type: Option<String>,
    task_id: String,
    task_type: String,
    task_def_name: String,
    reference_task_name: String,
    scheduled_time: String,
    start_time: Option<String>,
    update_time: String,
    end_time: Option<String>,
    status: String,
    execution_time: i64,
    queue_wait_time: i64,
    input: String,
    output: String,
    workflow_priority: u8,
}

/// What came of one command on many workflows.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::api) struct BulkResponse {
    /// Why it was not done, by id or name.
    bulk_error_results: BTreeMap<String, String>,
    bulk_successful_results: Vec<Value>,
    message: Option<String>,
}

/// The last poll of a worker.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::api) struct PollData {
    queue_name: String,
    domain: Option<String>,
    worker_id: String,
    last_poll_time: i64,
}

/// A part of a queue.
#[derive(ToSchema)]
pub(in crate::api) struct QueuePart {
    /// How many tasks wait.
    size: u64,
    /// How many workers have.
    uacked: u64,
}

/// A line of a task's log.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::api) struct TaskLog {
    log: String,
    task_id: String,
    created_time: i64,
}

/// A task definition. Those with the key `agent` run on agents.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::api) struct TaskDef {
    name: String,
    retry_count: i32,
    /// FIXED, LINEAR_BACKOFF or EXPONENTIAL_BACKOFF.
    retry_logic: String,
    retry_delay_seconds: i64,
    timeout_seconds: i64,
    response_timeout_seconds: i64,
    /// RETRY, TIME_OUT_WF or ALERT_ONLY.
    timeout_policy: String,
    agent: Option<Object>,
}

/// A workflow definition.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::api) struct WorkflowDef {
    name: String,
    version: i32,
    tasks: Vec<Object>,
    timeout_seconds: i64,
}

/// A schema that definitions name.
#[derive(ToSchema)]
pub(in crate::api) struct Schema {
    name: String,
    version: i32,
    /// JSON.
    r#type: String,
    /// The JSON Schema.
    data: Option<Object>,
}

/// What to do when a message comes.
#[derive(ToSchema)]
pub(in crate::api) struct EventHandler {
    name: String,
    event: String,
    condition: Option<String>,
    actions: Vec<Object>,
    active: bool,
}

/// A workflow that starts by the calendar.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::api) struct WorkflowSchedule {
    name: String,
    cron_expression: Option<String>,
    zone_id: String,
    paused: bool,
    run_catchup_schedule_instances: bool,
    start_workflow_request: Object,
    next_run_time: Option<i64>,
    create_time: Option<i64>,
    updated_time: Option<i64>,
}

/// What came of a due moment.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::api) struct ScheduleRun {
    execution_id: String,
    schedule_name: String,
    scheduled_time: i64,
    execution_time: i64,
    workflow_name: String,
    workflow_id: Option<String>,
    reason: Option<String>,
    /// EXECUTED or FAILED.
    state: String,
    zone_id: String,
}
