//! The shapes of requests, for the API's description alone, as [`shapes`](super::shapes) has those of answers. Each is read by
//! the type of its handler, which takes further fields where Conductor has more.
#![expect(dead_code, reason = "only read by the description of the API")]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

type Object = BTreeMap<String, Value>;

/// Starts a workflow.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct StartWorkflowRequest {
    /// May be left out beside `workflowDef`.
    name: Option<String>,
    /// The highest where it is left out.
    version: Option<i32>,
    /// A definition in place, which is not registered.
    workflow_def: Option<WorkflowDefinition>,
    input: Option<Object>,
    correlation_id: Option<String>,
    /// Domains by task type; `*` is every type.
    task_to_domain: Option<BTreeMap<String, String>>,
    /// 0 to 99.
    priority: Option<i64>,
    created_by: Option<String>,
    idempotency_key: Option<String>,
    idempotency_strategy: Option<IdempotencyStrategy>,
}

/// What comes of a start whose key was used before.
#[derive(ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum IdempotencyStrategy {
    Fail,
    ReturnExisting,
    FailOnRunning,
}

/// A workflow definition.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct WorkflowDefinition {
    name: String,
    /// 1 where it is left out.
    version: Option<i32>,
    description: Option<String>,
    owner_email: Option<String>,
    tasks: Vec<Step>,
    input_parameters: Option<Vec<String>>,
    output_parameters: Option<Object>,
    input_template: Option<Object>,
    variables: Option<Object>,
    failure_workflow: Option<String>,
    restartable: Option<bool>,
    /// 0 is no limit.
    timeout_seconds: Option<i64>,
    timeout_policy: Option<WorkflowTimeoutPolicy>,
    enforce_schema: Option<bool>,
    /// Whether an expression that finds nothing is a fault; else it comes to null.
    strict_expressions: Option<bool>,
}

#[derive(ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum WorkflowTimeoutPolicy {
    TimeOutWf,
    AlertOnly,
}

/// A step of a workflow definition. What else it has goes by its type.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct Step {
    /// The task definition's name.
    name: String,
    task_reference_name: String,
    /// SIMPLE where it is left out.
    r#type: Option<String>,
    description: Option<String>,
    input_parameters: Option<Object>,
    optional: Option<bool>,
    permissive: Option<bool>,
    start_delay: Option<i64>,
    /// DO_WHILE: most rounds, 1 to 100000.
    max_iterations: Option<u32>,
}

/// A task definition. Those with the key `agent` run on agents.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct TaskDefinition {
    name: String,
    description: Option<String>,
    owner_email: Option<String>,
    retry_count: Option<i32>,
    retry_logic: Option<RetryLogic>,
    retry_delay_seconds: Option<i64>,
    backoff_scale_factor: Option<i32>,
    /// 0 is no limit.
    timeout_seconds: Option<i64>,
    response_timeout_seconds: Option<i64>,
    poll_timeout_seconds: Option<i64>,
    total_timeout_seconds: Option<i64>,
    timeout_policy: Option<TaskTimeoutPolicy>,
    concurrent_exec_limit: Option<i32>,
    rate_limit_per_frequency: Option<i32>,
    rate_limit_frequency_in_seconds: Option<i32>,
    input_keys: Option<Vec<String>>,
    output_keys: Option<Vec<String>>,
    input_template: Option<Object>,
    agent: Option<AgentKey>,
}

#[derive(ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum RetryLogic {
    Fixed,
    LinearBackoff,
    ExponentialBackoff,
}

#[derive(ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum TaskTimeoutPolicy {
    Retry,
    TimeOutWf,
    AlertOnly,
}

/// What runs on an agent, and on which.
#[derive(ToSchema)]
pub(super) struct AgentKey {
    plugin: String,
    operation: String,
    /// A selector of labels and facts.
    requires: Option<String>,
    idempotent: Option<bool>,
}

/// What a worker reports.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct TaskResult {
    task_id: String,
    workflow_instance_id: Option<String>,
    /// May be left out with `extendLease`.
    status: Option<WorkerStatus>,
    output_data: Option<Object>,
    reason_for_incompletion: Option<String>,
    callback_after_seconds: Option<i64>,
    worker_id: Option<String>,
    logs: Option<Vec<WorkerLine>>,
    extend_lease: Option<bool>,
}

#[derive(ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum WorkerStatus {
    InProgress,
    Completed,
    Failed,
    FailedWithTerminalError,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct WorkerLine {
    log: Option<String>,
    created_time: Option<f64>,
}

/// Runs a workflow once more from a task on.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct RerunWorkflowRequest {
    /// From its start where it is left out.
    re_run_from_task_id: Option<String>,
    task_input: Option<Object>,
    workflow_input: Option<Object>,
    correlation_id: Option<String>,
}

/// Does without a step.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct SkipTaskRequest {
    task_input: Option<Object>,
    task_output: Option<Object>,
}

/// Variables, and a report on the open task at a step.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct WorkflowStateUpdate {
    task_reference_name: Option<String>,
    task_result: Option<Object>,
    variables: Option<Object>,
}

/// Tries a definition out.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct WorkflowTestRequest {
    name: Option<String>,
    version: Option<i32>,
    workflow_def: Option<WorkflowDefinition>,
    input: Option<Object>,
    correlation_id: Option<String>,
    /// By reference: one for each attempt, the last for all that follow.
    task_ref_to_mock_output: Option<BTreeMap<String, Vec<TaskMock>>>,
    /// By reference, in this same form.
    sub_workflow_test_request: Option<Object>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct TaskMock {
    status: Option<WorkerStatus>,
    output: Option<Object>,
    /// In ms.
    execution_time: Option<u32>,
    /// In ms.
    queue_wait_time: Option<u32>,
}

/// Which workflows: of these names and correlation ids.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct CorrelationIdsSearchRequest {
    correlation_ids: Vec<String>,
    workflow_names: Vec<String>,
}

/// Lets hosts in.
#[derive(ToSchema)]
pub(super) struct NewEnrolmentToken {
    /// Labels that every agent gets that it lets in.
    labels: Option<BTreeMap<String, String>>,
    pool: Option<String>,
    ttl_seconds: Option<u64>,
    uses: Option<u32>,
    /// Ranges of addresses that hosts may be at.
    networks: Option<Vec<String>>,
    approval: Option<Approval>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum Approval {
    Automatic,
    Manual,
}

/// Asks for an identity.
#[derive(ToSchema)]
pub(super) struct Enrolment {
    token: String,
    id: String,
    /// PKCS #10, PEM.
    certificate_request: String,
    /// The host's clock, in ms since 1970.
    time_ms: i64,
    machine_id: Option<String>,
}

/// Asks for the next certificate.
#[derive(ToSchema)]
pub(super) struct CertificateRenewal {
    /// PKCS #10, PEM.
    certificate_request: String,
}

/// An agent presents itself.
#[derive(ToSchema)]
pub(super) struct AgentRegistration {
    name: String,
    labels: Option<BTreeMap<String, String>>,
    facts: Option<Object>,
    slots: u32,
    version: String,
    protocol: u16,
    incarnation: String,
}

/// What changes at a node instance (Cloudify).
#[derive(ToSchema)]
pub(super) struct NodeInstanceUpdate {
    /// The version that this is a change to.
    version: u64,
    state: Option<String>,
    runtime_properties: Option<Object>,
    system_properties: Option<Object>,
    relationships: Option<Vec<Value>>,
}
