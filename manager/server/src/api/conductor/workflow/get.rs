//! Reading one workflow.

use axum::extract::{Path, State};
use axum::response::Response;

use super::super::load;
use crate::api::ApiError;
use crate::api::extract::{Params, workflow_id};
use crate::api::state::ApiState;
use crate::app::Caller;

/// One workflow, with its tasks unless asked otherwise.
#[utoipa::path(get, path = "/api/workflow/{id}", tag = "workflows",
    params(("id" = String, Path, description = "The workflow's id"), ("includeTasks" = Option<bool>, Query, description = "Default true")),
    responses((status = 200, body = crate::api::shapes::Workflow, description = "Workflow"), (status = 404, description = "There is none")))]
pub(super) async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, ApiError> {
    let with_tasks = params.flag("includeTasks", true)?;
    load::workflow_answer(&state, &caller.tenant, workflow_id(&id)?, with_tasks).await
}
