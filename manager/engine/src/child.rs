//! Workflows that workflows start: sub-workflows, started workflows and failure workflows.

use std::collections::BTreeMap;

use conductor_model::{TaskId, WorkflowId, WorkflowStatus};
use serde_json::{Map, Value, json};

use crate::decision::Effect;
use crate::run::Run;
use crate::state::Ix;
use crate::turn::Turn;
use crate::work::ChildOrder;

/// Most tasks that are shown to a failure workflow: those that failed, the newest last.
const FAILED_TASKS_SHOWN_MAX: usize = 100;
/// The highest priority (Conductor API).
const PRIORITY_MAX: u64 = 99;

/// The id of the workflow that a task starts: the same each time.
pub(crate) fn id_of(task: TaskId) -> WorkflowId {
    WorkflowId(derived(task.0, 1))
}

/// An id that belongs to another one. It keeps the moment in the first half, so that rows of both lie close together.
fn derived(from: uuid::Uuid, salt: u64) -> uuid::Uuid {
    let (high, low) = from.as_u64_pair();
    // The finalizer of SplitMix64: every bit of the input changes half of the output's.
    let mut mixed = low ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ high.rotate_left(32);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    uuid::Uuid::from_u64_pair(high, (mixed & (u64::MAX >> 2)) | (1 << 63))
}

/// What is said of a workflow to start, by the names of the API.
#[derive(Debug, Default)]
pub(crate) struct Said<'a> {
    pub name: Option<&'a Value>,
    pub version: Option<&'a Value>,
    pub definition: Option<&'a Value>,
    pub correlation_id: Option<&'a Value>,
    pub priority: Option<&'a Value>,
    pub task_to_domain: Option<&'a Value>,
    pub idempotency_key: Option<&'a Value>,
    pub idempotency_strategy: Option<&'a Value>,
}

/// The order for it, without its input. What is not said is as of `run`. The error is for people.
pub(crate) fn order(run: &Run, id: WorkflowId, said: &Said<'_>) -> Result<ChildOrder, String> {
    let given = |value: Option<&Value>| value.filter(|value| !value.is_null() && value.as_str() != Some("")).cloned();
    let definition: Option<conductor_model::WorkflowDef> = given(said.definition)
        .map(serde_json::from_value)
        .transpose()
        .map_err(|error| format!("the workflow definition cannot be read: {error}"))?;
    let name = match given(said.name) {
        Some(Value::String(name)) => name,
        Some(other) => return Err(format!("the name of the workflow to start must be a text; it is {other}")),
        None => definition.as_ref().map(|definition| definition.name.clone()).ok_or("no workflow to start is named")?,
    };
    let number = |value: Option<&Value>, what: &str| match given(value) {
        None => Ok(None),
        Some(Value::Number(number)) => Ok(number.as_i64()),
        Some(Value::String(text)) if text.trim().parse::<i64>().is_ok() => Ok(text.trim().parse().ok()),
        Some(other) => Err(format!("the {what} of the workflow to start must be a number; it is {other}")),
    };
    // The API writes 0 and below for "the newest".
    let version =
        number(said.version, "version")?.and_then(|version| i32::try_from(version).ok()).filter(|version| *version > 0);
    let priority = match number(said.priority, "priority")? {
        None => run.workflow().priority,
        Some(priority) => u64::try_from(priority)
            .ok()
            .filter(|priority| *priority <= PRIORITY_MAX)
            .and_then(|priority| u8::try_from(priority).ok())
            .ok_or_else(|| format!("the priority of the workflow to start is {priority}; it must be between 0 and 99"))?,
    };
    let task_to_domain: BTreeMap<String, String> = given(said.task_to_domain)
        .map(serde_json::from_value)
        .transpose()
        .map_err(|error| format!("taskToDomain of the workflow to start must be an object of texts: {error}"))?
        .unwrap_or_else(|| run.workflow().task_to_domain.clone());
    let strategy = given(said.idempotency_strategy)
        .map(serde_json::from_value)
        .transpose()
        .map_err(|error| format!("idempotencyStrategy of the workflow to start: {error}"))?;
    let key = given(said.idempotency_key).and_then(|key| key.as_str().map(str::to_owned));
    let correlation_id = given(said.correlation_id).and_then(|id| id.as_str().map(str::to_owned));
    Ok(ChildOrder {
        id,
        name,
        version,
        definition: definition.map(std::sync::Arc::new),
        input: Map::new(),
        correlation_id: correlation_id.or_else(|| run.workflow().correlation_id.clone()),
        priority,
        task_to_domain,
        idempotency: key.map(|key| (key, strategy.unwrap_or_default())),
        parent: None,
    })
}

/// The workflow has ended badly: its failure workflow is started, and named in its output.
pub(crate) fn start_failure_workflow(turn: &mut Turn<'_, '_>, cause: Option<Ix>) {
    let definition = &turn.run.plan().snapshot().workflow;
    let (version, workflow) = (definition.failure_workflow_version, turn.run.workflow());
    let Some(name) = definition.failure_workflow.as_deref().and_then(|name| named(name, &workflow.input)) else { return };
    let id = WorkflowId(derived(workflow.id.0, workflow.revision.wrapping_add(2)));
    let said = Said { name: Some(&json!(name)), version: Some(&json!(version)), ..Said::default() };
    let Ok(order) = order(turn.run, id, &said) else { return };
    let order = ChildOrder { input: failure_input(turn.run, cause), ..order };
    turn.effect(Effect::StartWorkflow { task: None, order: Box::new(order) });
    let mut output = turn.run.workflow().output.as_object().cloned().unwrap_or_default();
    output.insert("conductor.failure_workflow".to_owned(), json!(id));
    turn.set_workflow_output(Value::Object(output));
}

/// The name of the failure workflow. One that begins with `$` names the key of the input that holds it.
fn named(name: &str, input: &Value) -> Option<String> {
    let Some(path) = name.strip_prefix('$') else { return Some(name.to_owned()).filter(|name| !name.is_empty()) };
    let key = path.trim_matches(['{', '}']).rsplit('.').next()?;
    input.get(key)?.as_str().map(str::to_owned)
}

/// What a failure workflow gets: the input of the failed one, and what is known of the failure.
fn failure_input(run: &Run, cause: Option<Ix>) -> Map<String, Value> {
    let workflow = run.workflow();
    let mut failed: Vec<Value> = run
        .tasks()
        .filter(|task| task.status.is_terminal() && !task.status.is_successful())
        .map(|task| {
            json!({
                "taskId": task.id, "referenceTaskName": &*task.reference, "taskDefName": &*task.definition_name,
                "status": task.status, "retryCount": task.attempt, "reasonForIncompletion": task.reason,
                "inputData": &*task.input, "outputData": &*task.output,
            })
        })
        .collect();
    let shown = failed.split_off(failed.len().saturating_sub(FAILED_TASKS_SHOWN_MAX));
    let mut input = workflow.input.as_object().cloned().unwrap_or_default();
    let mut add = |key: &str, value: Value| input.insert(key.to_owned(), value);
    add("workflowId", json!(workflow.id));
    add("reason", json!(workflow.reason));
    add("failureStatus", json!(workflow.status));
    add("failureTaskId", json!(cause.map(|ix| run.record(ix).id)));
    add(
        "failedWorkflow",
        json!({
            "workflowId": workflow.id, "workflowName": workflow.name, "workflowVersion": workflow.version,
            "status": workflow.status, "input": &*workflow.input, "output": &*workflow.output,
            "variables": &*workflow.variables, "correlationId": workflow.correlation_id, "priority": workflow.priority,
            "createTime": workflow.created_at, "startTime": workflow.created_at, "endTime": workflow.ended_at,
            "reasonForIncompletion": workflow.reason, "failedReferenceTaskNames": workflow.failed_references,
            "failedTaskNames": workflow.failed_task_names, "parentWorkflowId": workflow.parent_workflow_id, "tasks": shown,
        }),
    );
    input
}

/// How a task ends whose workflow ended like this.
pub(crate) fn task_status(status: WorkflowStatus) -> conductor_model::TaskStatus {
    use conductor_model::TaskStatus;
    match status {
        WorkflowStatus::Completed => TaskStatus::Completed,
        WorkflowStatus::Terminated => TaskStatus::Canceled,
        WorkflowStatus::TimedOut => TaskStatus::TimedOut,
        WorkflowStatus::Failed | WorkflowStatus::Running | WorkflowStatus::Paused => TaskStatus::Failed,
    }
}
