//! Changing a workflow that goes on: its variables, and a task together with them.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::load;
use super::super::run_view::{RunView, Strategy};
use super::super::tasks::{TaskResult, apply};
use super::execute::wait_seconds;
use crate::api::ApiError;
use crate::api::extract::{JsonBody, Params, parse_json, workflow_id};
use crate::api::state::ApiState;
use crate::app::Caller;

/// Sets variables of a workflow; the others stay. Answers with the workflow, without its tasks.
#[utoipa::path(post, path = "/api/workflow/{id}/variables", tag = "workflows", params(("id" = String, Path)),
    request_body(content = Object, description = "Variables by name"),
    responses((status = 200, body = crate::api::shapes::Workflow, description = "Workflow"), (status = 404, description = "There is none"),
        (status = 409, description = "It is over")))]
pub(super) async fn set_variables(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(variables): JsonBody<Map<String, Value>>,
) -> Result<Response, ApiError> {
    let workflow = workflow_id(&id)?;
    state.app.set_variables(&caller.tenant, workflow, variables).await?;
    load::workflow_answer(&state, &caller.tenant, workflow, false).await
}

/// Conductor's WorkflowStateUpdate.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StateUpdate {
    task_reference_name: Option<String>,
    task_result: Option<TaskResult>,
    variables: Option<Map<String, Value>>,
}

/// Reads a body as [`update_state`] does.
pub(in crate::api) fn read_state(bytes: &[u8]) -> Result<(), ApiError> {
    parse_json::<StateUpdate>(bytes).map(|_| ())
}

/// Sets variables and takes a report on the open task at a step, then waits as `/api/workflow/execute` does.
#[utoipa::path(post, path = "/api/workflow/{id}/state", tag = "workflows",
    params(("id" = String, Path), ("requestId" = Option<String>, Query), ("waitUntilTaskRef" = Option<String>, Query),
        ("waitForSeconds" = Option<u32>, Query, description = "Default 10, at most 120")),
    request_body(content = crate::api::bodies::WorkflowStateUpdate, description = "WorkflowStateUpdate: taskReferenceName, taskResult, variables"),
    responses((status = 200, body = Object, description = "WorkflowRun"), (status = 404, description = "There is no such workflow or open task"),
        (status = 409, description = "The workflow is over")))]
pub(super) async fn update_state(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
    JsonBody(update): JsonBody<StateUpdate>,
) -> Result<Response, ApiError> {
    let workflow = workflow_id(&id)?;
    let wait = wait_seconds(&params)?;
    let references = super::execute::references(&params);
    let feed = state.app.subscribe();
    if let Some(variables) = update.variables.filter(|variables| !variables.is_empty()) {
        state.app.set_variables(&caller.tenant, workflow, variables).await?;
    }
    if let (Some(reference), Some(mut result)) =
        (update.task_reference_name.filter(|name| !name.is_empty()), update.task_result)
    {
        let task = state.app.open_task_by_reference(&caller.tenant, workflow, &reference).await?;
        let task = task.ok_or_else(|| ApiError::not_found("open task at step", &reference))?;
        result.is_about(task, workflow);
        apply(&state, &caller.tenant, result, None).await?;
    }
    let standing = state.app.wait_for(&caller.tenant, workflow, references, feed, wait).await?;
    let request = params.text("requestId");
    Ok(Json(RunView::new(&state, &standing, Strategy::TargetWorkflow, request).await?).into_response())
}

/// Nothing to wait for.
pub(in crate::api::conductor) fn no_references() -> Arc<[String]> {
    Arc::from([])
}

/// As long as it was asked for.
pub(in crate::api::conductor) fn at_most(seconds: usize) -> Duration {
    Duration::from_secs(seconds as u64)
}
