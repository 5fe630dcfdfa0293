//! What synchronous calls answer: Conductor's WorkflowRun and SignalResponse.

use std::collections::BTreeMap;

use conductor_engine::shown_task_type;
use conductor_model::{TaskRecord, WorkflowRecord};
use serde_json::{Map, Value, json};

use super::load;
use crate::api::ApiError;
use crate::api::extract::Params;
use crate::api::state::ApiState;
use crate::app::Standing;

/// What a synchronous call answers with (Conductor API: returnStrategy).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    /// The workflow that was asked for.
    TargetWorkflow,
    /// The workflow in which a task waits for somebody.
    BlockingWorkflow,
    /// That task.
    BlockingTask,
    /// That task, for the sake of its input.
    BlockingTaskInput,
}

impl Strategy {
    /// The parameter `returnStrategy`.
    pub(super) fn from_params(params: &Params) -> Result<Self, ApiError> {
        match params.text("returnStrategy") {
            None | Some("TARGET_WORKFLOW") => Ok(Self::TargetWorkflow),
            Some("BLOCKING_WORKFLOW") => Ok(Self::BlockingWorkflow),
            Some("BLOCKING_TASK") => Ok(Self::BlockingTask),
            Some("BLOCKING_TASK_INPUT") => Ok(Self::BlockingTaskInput),
            Some(other) => Err(ApiError::bad_request(
                "query-invalid",
                format!(
                    "returnStrategy is {other:?}; expected TARGET_WORKFLOW, BLOCKING_WORKFLOW, BLOCKING_TASK or BLOCKING_TASK_INPUT"
                ),
            )),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::TargetWorkflow => "TARGET_WORKFLOW",
            Self::BlockingWorkflow => "BLOCKING_WORKFLOW",
            Self::BlockingTask => "BLOCKING_TASK",
            Self::BlockingTaskInput => "BLOCKING_TASK_INPUT",
        }
    }
}

/// The answer.
#[derive(Debug, serde::Serialize)]
#[serde(transparent)]
pub(super) struct RunView(BTreeMap<String, Value>);

impl RunView {
    /// How a workflow stands. Where nothing blocks, the answer is the workflow that was asked for, and says so.
    pub(super) async fn new(
        state: &ApiState,
        standing: &Standing,
        strategy: Strategy,
        request: Option<&str>,
    ) -> Result<Self, ApiError> {
        let (strategy, mut body) = match (strategy, &standing.blocking) {
            (Strategy::BlockingWorkflow, Some((workflow, _))) => (strategy, whole(state, workflow).await?),
            (Strategy::BlockingTask | Strategy::BlockingTaskInput, Some((workflow, task))) => {
                (strategy, of_task(workflow, task))
            }
            (_, _) => (Strategy::TargetWorkflow, whole(state, &standing.target).await?),
        };
        body.insert("responseType".to_owned(), json!(strategy.as_str()));
        body.insert("targetWorkflowId".to_owned(), json!(standing.target.id));
        body.insert("targetWorkflowStatus".to_owned(), json!(standing.target.status));
        body.insert("requestId".to_owned(), json!(request.unwrap_or_default()));
        Ok(Self(body.into_iter().collect()))
    }
}

async fn whole(state: &ApiState, workflow: &WorkflowRecord) -> Result<Map<String, Value>, ApiError> {
    let shown = load::workflow_json(state, workflow, true).await?;
    let mut body: Map<String, Value> = serde_json::from_str(shown.get()).map_err(|error| {
        tracing::error!(%error, "a workflow cannot be shown");
        ApiError::internal()
    })?;
    body.insert("workflowType".to_owned(), json!(workflow.name));
    Ok(body)
}

fn of_task(workflow: &WorkflowRecord, task: &TaskRecord) -> Map<String, Value> {
    let body = json!({
        "workflowId": workflow.id, "workflowType": workflow.name, "correlationId": workflow.correlation_id,
        "taskType": shown_task_type(task), "taskId": task.id, "referenceTaskName": task.reference,
        "retryCount": task.attempt, "taskDefName": task.definition_name, "retriedTaskId": task.retried_task_id,
        "reasonForIncompletion": task.reason, "priority": task.priority, "variables": workflow.variables,
        "createdBy": workflow.created_by, "createTime": task.scheduled_at, "updateTime": task.updated_at,
        "status": task.status, "input": task.input, "output": task.output,
    });
    match body {
        Value::Object(body) => body.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    }
}
