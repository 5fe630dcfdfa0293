//! Pausing, resuming and ending workflows.

use axum::extract::{Path, State};

use crate::api::ApiError;
use crate::api::extract::{Params, workflow_id};
use crate::api::state::ApiState;
use crate::app::Caller;

/// The query parameter that has a workflow which is ended by request start its failure workflow.
pub(super) const TRIGGER_FAILURE_WORKFLOW: &str = "triggerFailureWorkflow";

/// Schedules nothing new in a workflow; what runs may finish.
#[utoipa::path(put, path = "/api/workflow/{id}/pause", tag = "workflows", params(("id" = String, Path)),
    responses((status = 200, description = "Paused"), (status = 404, description = "There is none"), (status = 409, description = "It is over")))]
pub(super) async fn pause(State(state): State<ApiState>, caller: Caller, Path(id): Path<String>) -> Result<(), ApiError> {
    Ok(state.app.pause_workflow(&caller.tenant, workflow_id(&id)?).await?)
}

/// Goes on with a paused workflow.
#[utoipa::path(put, path = "/api/workflow/{id}/resume", tag = "workflows", params(("id" = String, Path)),
    responses((status = 200, description = "Running"), (status = 404, description = "There is none"), (status = 409, description = "It is not paused")))]
pub(super) async fn resume(State(state): State<ApiState>, caller: Caller, Path(id): Path<String>) -> Result<(), ApiError> {
    Ok(state.app.resume_workflow(&caller.tenant, workflow_id(&id)?).await?)
}

/// Ends a workflow: its open tasks are cancelled.
#[utoipa::path(delete, path = "/api/workflow/{id}", tag = "workflows",
    params(("id" = String, Path, description = "The workflow's id"), ("reason" = Option<String>, Query, description = "For people"),
        ("triggerFailureWorkflow" = Option<bool>, Query, description = "Start its failure workflow, as if it had failed")),
    responses((status = 200, description = "Terminated"), (status = 404, description = "There is none"), (status = 409, description = "It is over")))]
pub(super) async fn terminate(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<(), ApiError> {
    let reason = params.text("reason").map(str::to_owned);
    let workflow = workflow_id(&id)?;
    if params.flag(TRIGGER_FAILURE_WORKFLOW, false)? {
        return Ok(state.app.terminate_workflow_as_failed(&caller.tenant, workflow, reason).await?);
    }
    Ok(state.app.terminate_workflow(&caller.tenant, workflow, reason).await?)
}

/// Looks at a workflow. Everything due is done at its time here, so that there is never anything left to decide.
#[utoipa::path(put, path = "/api/workflow/decide/{id}", tag = "workflows", params(("id" = String, Path)),
    responses((status = 200, description = "It is as it should be"), (status = 404, description = "There is none")))]
pub(super) async fn decide(State(state): State<ApiState>, caller: Caller, Path(id): Path<String>) -> Result<(), ApiError> {
    super::super::load::workflow(&state, &caller.tenant, workflow_id(&id)?).await.map(|_| ())
}
