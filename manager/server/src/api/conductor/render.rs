//! Records in the JSON shapes of the Conductor API. The one place that knows them.
//!
//! Absent values are left out, except the times of a task, which Conductor writes as 0.

use std::collections::{BTreeMap, BTreeSet};

use conductor_engine::{Plan, shown_task_type};
use conductor_model::{TaskDef, TaskId, TaskRecord, Timestamp, WorkflowDef, WorkflowId, WorkflowRecord};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Conductor's Workflow.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WorkflowView<'a> {
    workflow_id: WorkflowId,
    workflow_name: &'a str,
    workflow_version: i32,
    status: &'static str,
    create_time: Timestamp,
    start_time: Timestamp,
    update_time: Timestamp,
    end_time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_retried_time: Option<Timestamp>,
    input: &'a Value,
    output: &'a Value,
    variables: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<Vec<TaskView<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idempotency_key: Option<&'a str>,
    priority: u8,
    task_to_domain: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_workflow_id: Option<WorkflowId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_workflow_task_id: Option<TaskId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_for_incompletion: Option<&'a str>,
    failed_reference_task_names: &'a BTreeSet<String>,
    failed_task_names: &'a BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_app: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by: Option<&'a str>,
    history: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit_key: Option<&'a str>,
    rate_limited: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'a str>,
    workflow_definition: &'a WorkflowDef,
}

/// Conductor's Task.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TaskView<'a> {
    task_type: &'a str,
    status: &'static str,
    input_data: &'a Value,
    reference_task_name: &'a str,
    retry_count: u32,
    seq: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    poll_count: u32,
    task_def_name: &'a str,
    scheduled_time: Timestamp,
    start_time: Timestamp,
    end_time: Timestamp,
    update_time: Timestamp,
    first_start_time: Timestamp,
    start_delay_in_seconds: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    retried_task_id: Option<TaskId>,
    retried: bool,
    executed: bool,
    callback_from_worker: bool,
    response_timeout_seconds: i64,
    workflow_instance_id: WorkflowId,
    workflow_type: &'a str,
    task_id: TaskId,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason_for_incompletion: Option<&'a str>,
    callback_after_seconds: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker_id: Option<&'a str>,
    output_data: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    workflow_task: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a str>,
    rate_limit_per_frequency: i64,
    rate_limit_frequency_in_seconds: i64,
    workflow_priority: u8,
    iteration: u32,
    subworkflow_changed: bool,
    queue_wait_time: i64,
    loop_over_task: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub_workflow_id: Option<WorkflowId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_definition: Option<Definition<'a>>,
    /// For the worker that the task is handed to, and for nobody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime_metadata: Option<&'a BTreeMap<String, String>>,
}

/// What a task runs by.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Definition<'a> {
    /// Found when the task was scheduled.
    Found(&'a TaskDef),
    /// Its step's, as the plan wrote it.
    OfStep(&'a RawValue),
}

/// What a task's view says of its workflow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Home<'a> {
    /// Name of the definition.
    pub(super) name: &'a str,
    /// The starter's own id.
    pub(super) correlation_id: Option<&'a str>,
    /// What it runs by.
    pub(super) plan: &'a Plan,
}

impl<'a> Home<'a> {
    /// Of a workflow that was read.
    pub(super) fn of(workflow: &'a WorkflowRecord, plan: &'a Plan) -> Self {
        Self { name: &workflow.name, correlation_id: workflow.correlation_id.as_deref(), plan }
    }
}

impl<'a> TaskView<'a> {
    /// A task of a workflow.
    pub(super) fn new(task: &'a TaskRecord, home: Home<'a>) -> Self {
        let plan = home.plan;
        // A task of a loop is known by the reference of its step, without the rounds: plans find it.
        let reference = &*task.reference;
        let definition = task.definition.as_ref().or_else(|| plan.definition(reference));
        Self {
            task_type: shown_task_type(task),
            status: task.status.as_str(),
            input_data: &task.input,
            reference_task_name: reference,
            retry_count: task.attempt,
            seq: task.seq,
            correlation_id: home.correlation_id,
            poll_count: task.poll_count,
            task_def_name: &task.definition_name,
            scheduled_time: task.scheduled_at,
            start_time: task.started_at.unwrap_or_default(),
            end_time: task.ended_at.unwrap_or_default(),
            update_time: task.updated_at,
            first_start_time: task.first_started_at.or(task.started_at).unwrap_or_default(),
            start_delay_in_seconds: start_delay_seconds(task),
            retried_task_id: task.retried_task_id,
            retried: task.retried,
            executed: task.status.is_terminal(),
            callback_from_worker: true,
            response_timeout_seconds: definition.map_or(0, |found| found.response_timeout_seconds),
            workflow_instance_id: task.workflow_id,
            workflow_type: home.name,
            task_id: task.id,
            reason_for_incompletion: task.reason.as_deref(),
            callback_after_seconds: task.callback_after_seconds,
            worker_id: task.worker_id.as_deref(),
            output_data: &task.output,
            workflow_task: plan.step_json(reference),
            domain: task.domain.as_deref(),
            rate_limit_per_frequency: definition.and_then(|found| found.rate_limit_per_frequency).unwrap_or(0),
            rate_limit_frequency_in_seconds: definition.and_then(|found| found.rate_limit_frequency_in_seconds).unwrap_or(1),
            workflow_priority: task.priority,
            iteration: task.iteration,
            subworkflow_changed: false,
            queue_wait_time: queue_wait_ms(task),
            loop_over_task: task.iteration > 0,
            sub_workflow_id: task.sub_workflow_id,
            task_definition: match &task.definition {
                Some(found) => Some(Definition::Found(found)),
                None => plan.definition_json(reference).map(Definition::OfStep),
            },
            runtime_metadata: None,
        }
    }

    /// The same, with the secrets and environment values that its definition asks for.
    pub(super) fn with_runtime_metadata(self, values: &'a BTreeMap<String, String>) -> Self {
        Self { runtime_metadata: Some(values).filter(|values| !values.is_empty()), ..self }
    }
}

/// How long the first attempt was held back after it was scheduled. Callback times move `visible_at` too, but only after a
/// poll.
fn start_delay_seconds(task: &TaskRecord) -> i64 {
    if task.poll_count > 0 { 0 } else { (task.visible_at.ms_since(task.scheduled_at) / 1000).max(0) }
}

/// How long the task waited for its worker, in ms; 0 while it waits.
fn queue_wait_ms(task: &TaskRecord) -> i64 {
    task.started_at.map_or(0, |started| started.ms_since(task.scheduled_at).max(0))
}

impl<'a> WorkflowView<'a> {
    /// A workflow that runs by `plan`; `None` leaves the tasks out.
    pub(super) fn new(workflow: &'a WorkflowRecord, plan: &'a Plan, tasks: Option<&'a [TaskRecord]>) -> Self {
        let definition = &plan.snapshot().workflow;
        Self {
            workflow_id: workflow.id,
            workflow_name: &workflow.name,
            workflow_version: workflow.version,
            status: workflow.status.as_str(),
            create_time: workflow.created_at,
            start_time: workflow.created_at,
            update_time: workflow.updated_at,
            end_time: workflow.ended_at.unwrap_or_default(),
            last_retried_time: workflow.last_retried_at,
            input: &workflow.input,
            output: &workflow.output,
            variables: &workflow.variables,
            tasks: tasks.map(|tasks| tasks.iter().map(|task| TaskView::new(task, Home::of(workflow, plan))).collect()),
            correlation_id: workflow.correlation_id.as_deref(),
            idempotency_key: workflow.idempotency_key.as_deref(),
            priority: workflow.priority,
            task_to_domain: &workflow.task_to_domain,
            parent_workflow_id: workflow.parent_workflow_id,
            parent_workflow_task_id: workflow.parent_task_id,
            reason_for_incompletion: workflow.reason.as_deref(),
            failed_reference_task_names: &workflow.failed_references,
            failed_task_names: &workflow.failed_task_names,
            owner_app: definition.owner_app.as_deref(),
            created_by: workflow.created_by.as_deref(),
            history: [],
            rate_limit_key: workflow.rate_limit_key.as_deref(),
            rate_limited: workflow.rate_limited,
            event: workflow.event.as_deref(),
            workflow_definition: definition,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::tests::sample;

    #[test]
    fn a_workers_task_reads_as_sdks_expect() {
        let (workflow, plan, tasks) = sample::forked_run();
        let task = json!(TaskView::new(&tasks[1], Home::of(&workflow, &plan)));
        assert_eq!(task["taskType"], "greet");
        assert_eq!(task["taskDefName"], "greet");
        assert_eq!(task["status"], "IN_PROGRESS");
        assert_eq!(task["correlationId"], "c-1");
        assert_eq!(task["workflowType"], "greetings");
        assert_eq!(task["responseTimeoutSeconds"], 10);
        assert_eq!(task["workflowTask"]["taskReferenceName"], "g1");
        assert_eq!(task["workflowTask"]["type"], "SIMPLE");
        assert_eq!(task["queueWaitTime"], 250);
        assert_eq!(task["endTime"], 0);
        assert!(task["startTime"] != 0 && task["firstStartTime"] == task["startTime"]);
        let again = TaskRecord { first_started_at: Some(Timestamp(7)), ..tasks[1].clone() };
        assert_eq!(json!(TaskView::new(&again, Home::of(&workflow, &plan)))["firstStartTime"], 7, "that of the first attempt");
        assert!(task.get("reasonForIncompletion").is_none(), "nulls are left out");
        assert!(task.get("domain").is_none());
    }

    #[test]
    fn a_round_shows_its_step_and_a_task_the_definition_that_was_found_for_it() {
        let (workflow, plan, tasks) = sample::forked_run();
        let view = |task: &TaskRecord| json!(TaskView::new(task, Home::of(&workflow, &plan)));
        let round = view(&TaskRecord { reference: "g1__3".into(), ..tasks[1].clone() });
        assert_eq!(round["workflowTask"], json!(plan.step("g1")));
        assert_eq!(round["taskDefinition"], json!(plan.definition("g1")));
        assert_eq!(round["taskDefinition"]["responseTimeoutSeconds"], 10);
        let found = TaskDef { response_timeout_seconds: 7, ..TaskDef::named("found") };
        let own = view(&TaskRecord { definition: Some(found.clone().into()), ..tasks[1].clone() });
        assert_eq!((&own["taskDefinition"], &own["responseTimeoutSeconds"]), (&json!(found), &json!(7)));
        let branch = view(&TaskRecord { reference: "elsewhere".into(), ..tasks[1].clone() });
        assert!(branch.get("workflowTask").is_none() && branch.get("taskDefinition").is_none(), "{branch}");
    }

    #[test]
    fn a_fork_is_called_fork_and_times_out_never() {
        let (workflow, plan, tasks) = sample::forked_run();
        let task = json!(TaskView::new(&tasks[0], Home::of(&workflow, &plan)));
        assert_eq!(task["taskType"], "FORK");
        assert_eq!(task["workflowTask"]["type"], "FORK_JOIN");
        assert_eq!(task["responseTimeoutSeconds"], 0);
        assert_eq!(task["executed"], true);
    }

    #[test]
    fn a_workflow_shows_its_definition_and_leaves_tasks_out_on_request() {
        let (workflow, plan, tasks) = sample::forked_run();
        let with = json!(WorkflowView::new(&workflow, &plan, Some(&tasks)));
        assert_eq!(with["tasks"].as_array().map(Vec::len), Some(2));
        assert_eq!(with["workflowDefinition"]["name"], "greetings");
        assert_eq!(with["startTime"], with["createTime"]);
        assert_eq!(with["endTime"], 0);
        let without = json!(WorkflowView::new(&workflow, &plan, None));
        assert!(without.get("tasks").is_none());
    }
}
