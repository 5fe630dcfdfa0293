//! The shapes of answers, for the API's description alone: answers are written from records and views, which borrow what
//! they show. `tests/described.rs` holds real answers to what stands here. What a client need not rely on is left out.
#![expect(dead_code, reason = "only read by the description of the API")]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

type Object = BTreeMap<String, Value>;

/// A stretch of what a search found.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct Found<T> {
    /// How many match in all, as far as they are counted.
    total_hits: u64,
    results: Vec<T>,
}

/// A list of ours.
#[derive(ToSchema)]
pub(super) struct Items<T> {
    items: Vec<T>,
    metadata: Total,
}

#[derive(ToSchema)]
pub(super) struct Total {
    total: u64,
}

/// A run of a workflow definition.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct Workflow {
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
pub(super) struct Task {
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
pub(super) struct WorkflowSummary {
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
pub(super) struct TaskSummary {
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
pub(super) struct BulkResponse {
    /// Why it was not done, by id or name.
    bulk_error_results: BTreeMap<String, String>,
    bulk_successful_results: Vec<Value>,
    message: Option<String>,
}

/// The last poll of a worker.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct PollData {
    queue_name: String,
    domain: Option<String>,
    worker_id: String,
    last_poll_time: i64,
}

/// A part of a queue.
#[derive(ToSchema)]
pub(super) struct QueuePart {
    /// How many tasks wait.
    size: u64,
    /// How many workers have.
    uacked: u64,
}

/// A line of a task's log.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct TaskLog {
    log: String,
    task_id: String,
    created_time: i64,
}

/// A task definition. Those with the key `agent` run on agents.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct TaskDef {
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
pub(super) struct WorkflowDef {
    name: String,
    version: i32,
    tasks: Vec<Object>,
    timeout_seconds: i64,
}

/// A schema that definitions name.
#[derive(ToSchema)]
pub(super) struct Schema {
    name: String,
    version: i32,
    /// JSON.
    r#type: String,
    /// The JSON Schema.
    data: Option<Object>,
}

/// What to do when a message comes.
#[derive(ToSchema)]
pub(super) struct EventHandler {
    name: String,
    event: String,
    condition: Option<String>,
    actions: Vec<Object>,
    active: bool,
}

/// A workflow that starts by the calendar.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct WorkflowSchedule {
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
pub(super) struct ScheduleRun {
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

/// An agent.
#[derive(ToSchema)]
pub(super) struct Agent {
    id: String,
    tenant: String,
    name: String,
    /// active, draining, offline, unsupported or quarantined.
    state: String,
    /// Why it takes nothing new, in its own words.
    state_reason: Option<String>,
    /// Set while an operator wants it to be given nothing new: since when, and why.
    cordon: Option<Object>,
    labels: BTreeMap<String, String>,
    facts: Object,
    slots: u32,
    free_slots: u32,
    /// Tasks that it was given and that are not over.
    tasks: Vec<String>,
    version: String,
    protocol: u16,
    incarnation: String,
    registered_at: i64,
    last_seen_at: i64,
}

/// What an agent is told when it introduces itself.
#[derive(ToSchema)]
pub(super) struct AgentWelcome {
    id: String,
    amqp_url: String,
    queue: String,
    lease_interval_ms: u64,
    lease_ms: u64,
    manager_time_ms: i64,
    prefetch: u16,
}

/// One version of a plugin.
#[derive(ToSchema)]
pub(super) struct Plugin {
    tenant: String,
    name: String,
    version: String,
    /// SHA-256 of the archive.
    digest: String,
    size_bytes: u64,
    media_type: String,
    manifest: Object,
    uploaded_at: i64,
}

/// One event of a stream, as browsers read it.
#[derive(ToSchema)]
pub(super) struct ServerSentEvent {
    /// Pass it as `Last-Event-ID` to read on.
    id: String,
    /// What happened, as in `task.completed`.
    event: String,
    /// JSON: the entry of the feed.
    data: String,
}

/// A stretch of a log.
#[derive(ToSchema)]
pub(super) struct LogLines {
    items: Vec<LogLine>,
    metadata: LogLinesEnd,
}

#[derive(ToSchema)]
pub(super) struct LogLine {
    task_id: String,
    seq: u64,
    at: i64,
    /// stdout, stderr, event or worker.
    stream: String,
    text: String,
}

#[derive(ToSchema)]
pub(super) struct LogLinesEnd {
    /// Pass it as `after` to read on.
    next_after: u64,
    task_status: String,
}

/// Where a task runs, or why it has no agent yet.
#[derive(ToSchema)]
pub(super) struct Placement {
    task_id: String,
    status: String,
    agent: Option<String>,
    alternates: Vec<String>,
    dispatch: u32,
    unplaced: Option<Object>,
}

/// One host or one part of a deployment (Cloudify).
#[derive(ToSchema)]
pub(super) struct NodeInstance {
    id: String,
    node_id: String,
    deployment_id: String,
    host_id: Option<String>,
    state: String,
    version: u64,
    runtime_properties: Object,
    system_properties: Object,
    relationships: Vec<Value>,
    scaling_groups: Vec<Value>,
    tenant_name: String,
}

/// Node instances (Cloudify). With `_include`, each has the fields that are named, and no others.
#[derive(ToSchema)]
pub(super) struct NodeInstances {
    items: Vec<Object>,
    metadata: NodeInstancesMetadata,
}

#[derive(ToSchema)]
pub(super) struct NodeInstancesMetadata {
    pagination: Pagination,
}

#[derive(ToSchema)]
pub(super) struct Pagination {
    total: u64,
    size: u64,
    offset: u64,
}

/// What lets hosts in.
#[derive(ToSchema)]
pub(super) struct EnrolmentToken {
    id: String,
    /// Labels that every agent gets that it lets in.
    labels: BTreeMap<String, String>,
    created_by: String,
    created_at: i64,
    expires_at: i64,
    uses: u32,
    used: u32,
    /// Ranges of addresses; empty = any.
    networks: Vec<String>,
    /// automatic or manual.
    approval: String,
}

/// What the manager knows of an agent's identity.
#[derive(ToSchema)]
pub(super) struct AgentIdentity {
    agent: String,
    /// pending, active, rejected or revoked.
    state: String,
    /// The token that let it in.
    token: String,
    labels: BTreeMap<String, String>,
    request_hash: String,
    machine_id: String,
    address: Option<String>,
    requested_at: i64,
    certificates: Vec<CertificateNote>,
}

#[derive(ToSchema)]
pub(super) struct CertificateNote {
    /// In hexadecimal.
    serial: String,
    not_after: i64,
}

/// What an agent is given.
#[derive(ToSchema)]
pub(super) struct IdentityGrant {
    id: String,
    /// PEM.
    certificate: String,
    /// PEM.
    authority: String,
    /// The key that tasks are verified with, in hexadecimal.
    task_key: String,
    issued_at_ms: i64,
    expires_at_ms: i64,
    labels: BTreeMap<String, String>,
}

/// The answer to a host that asks to be let in.
#[derive(ToSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub(super) enum EnrolmentAnswer {
    Granted(IdentityGrant),
    Pending { again_in_ms: u64 },
}
