//! Deleting workflows.

use axum::extract::{Path, State};

use crate::api::ApiError;
use crate::api::extract::{Params, workflow_id};
use crate::api::state::ApiState;
use crate::app::Caller;

/// Deletes a workflow that is over, with its tasks, their logs and payloads. `archiveWorkflow` means nothing here: there is
/// one store, and what is deleted is gone.
#[utoipa::path(delete, path = "/api/workflow/{id}/remove", tag = "workflows",
    params(("id" = String, Path), ("archiveWorkflow" = Option<bool>, Query)),
    responses((status = 200, description = "Deleted"), (status = 404, description = "There is none"), (status = 409, description = "It is not over")))]
pub(super) async fn remove(State(state): State<ApiState>, caller: Caller, Path(id): Path<String>) -> Result<(), ApiError> {
    Ok(state.app.remove_workflow(&caller.tenant, workflow_id(&id)?).await?)
}

/// Ends a workflow unless it is over, and deletes it.
#[utoipa::path(delete, path = "/api/workflow/{id}/terminate-remove", tag = "workflows",
    params(("id" = String, Path), ("reason" = Option<String>, Query), ("archiveWorkflow" = Option<bool>, Query)),
    responses((status = 200, description = "Deleted"), (status = 404, description = "There is none")))]
pub(super) async fn terminate_and_remove(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<(), ApiError> {
    let reason = params.text("reason").map(str::to_owned);
    Ok(state.app.terminate_and_remove_workflow(&caller.tenant, workflow_id(&id)?, reason).await?)
}
