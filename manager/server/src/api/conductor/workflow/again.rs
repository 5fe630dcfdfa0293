//! Workflows that are over and go on again.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::plain;
use crate::api::ApiError;
use crate::api::extract::{OptionalJson, Params, parse_optional, task_id, workflow_id};
use crate::api::state::ApiState;
use crate::app::{Caller, RerunCommand};

/// Tries again what failed in a workflow that ended badly.
#[utoipa::path(post, path = "/api/workflow/{id}/retry", tag = "workflows",
    params(("id" = String, Path), ("resumeSubworkflowTasks" = Option<bool>, Query,
        description = "Retry failed sub-workflows themselves instead of starting them anew")),
    responses((status = 204, description = "It goes on"), (status = 404, description = "There is none"),
        (status = 409, description = "It goes on already, ended well, or has nothing to retry")))]
pub(super) async fn retry(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<StatusCode, ApiError> {
    let resume = params.flag("resumeSubworkflowTasks", false)?;
    state.app.retry_workflow(&caller.tenant, workflow_id(&id)?, resume).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Runs a workflow that is over once more from its start, under the same id.
#[utoipa::path(post, path = "/api/workflow/{id}/restart", tag = "workflows",
    params(("id" = String, Path), ("useLatestDefinitions" = Option<bool>, Query, description = "By the highest version there is now")),
    responses((status = 204, description = "It runs"), (status = 404, description = "There is none"),
        (status = 409, description = "It goes on, or its definition does not let it be restarted")))]
pub(super) async fn restart(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<StatusCode, ApiError> {
    let latest = params.flag("useLatestDefinitions", false)?;
    state.app.restart_workflow(&caller.tenant, workflow_id(&id)?, latest).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets polling workers have at once what asked to be left alone for a while.
#[utoipa::path(post, path = "/api/workflow/{id}/resetcallbacks", tag = "workflows", params(("id" = String, Path)),
    responses((status = 204, description = "Done"), (status = 404, description = "There is none"), (status = 409, description = "It is over")))]
pub(super) async fn reset_callbacks(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.app.reset_callbacks(&caller.tenant, workflow_id(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Conductor's RerunWorkflowRequest.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RerunBody {
    re_run_from_workflow_id: Option<String>,
    re_run_from_task_id: Option<String>,
    task_input: Option<Map<String, Value>>,
    workflow_input: Option<Map<String, Value>>,
    correlation_id: Option<String>,
}

/// Reads a body as [`rerun`] does.
pub(in crate::api) fn read_rerun(bytes: &[u8]) -> Result<(), ApiError> {
    parse_optional::<RerunBody>(bytes)?.re_run_from_task_id.map(|task| task_id(&task)).transpose().map(|_| ())
}

/// Runs a workflow that is over once more: from a task on, which may be one of a sub-workflow, or from its start.
#[utoipa::path(post, path = "/api/workflow/{id}/rerun", tag = "workflows", params(("id" = String, Path)),
    request_body(content = Option<crate::api::bodies::RerunWorkflowRequest>, description = "RerunWorkflowRequest: reRunFromTaskId, taskInput, workflowInput, correlationId"),
    responses((status = 200, content_type = "text/plain", body = String, description = "The workflow's id"),
        (status = 400, description = "The task is not one of this workflow or of a sub-workflow"), (status = 404, description = "There is no such workflow"),
        (status = 409, description = "It goes on")))]
pub(super) async fn rerun(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    OptionalJson(body): OptionalJson<RerunBody>,
) -> Result<Response, ApiError> {
    let workflow = workflow_id(&id)?;
    if let Some(other) = body.re_run_from_workflow_id.filter(|other| !other.is_empty() && *other != id) {
        let message = format!("reRunFromWorkflowId is {other:?}, but the request is about workflow {id}");
        return Err(ApiError::bad_request("workflow-mismatch", message));
    }
    let from = body.re_run_from_task_id.filter(|task| !task.is_empty());
    let from =
        from.map(|task| task_id(&task)).transpose().map_err(|error| ApiError { status: StatusCode::BAD_REQUEST, ..error })?;
    let command = RerunCommand {
        from,
        task_input: body.task_input,
        workflow_input: body.workflow_input,
        correlation_id: body.correlation_id,
    };
    state.app.rerun_workflow(&caller.tenant, workflow, command).await?;
    Ok(plain(&workflow))
}
