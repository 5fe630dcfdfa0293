//! Reading one task.

use axum::extract::{Path, State};
use axum::response::Response;

use super::super::load;
use crate::api::ApiError;
use crate::api::extract::task_id;
use crate::api::state::ApiState;
use crate::app::Caller;

/// One task.
#[utoipa::path(get, path = "/api/tasks/{id}", tag = "tasks", params(("id" = String, Path)),
    responses((status = 200, body = crate::api::shapes::Task, description = "Task"), (status = 404, description = "There is none")))]
pub(super) async fn get(State(state): State<ApiState>, caller: Caller, Path(id): Path<String>) -> Result<Response, ApiError> {
    let task = load::task(&state, &caller.tenant, task_id(&id)?).await?;
    load::task_answer(&state, &caller.tenant, task).await
}
