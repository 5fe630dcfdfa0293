//! How many tasks wait for pollers.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;

use crate::api::ApiError;
use crate::api::extract::Params;
use crate::api::state::ApiState;
use crate::app::Caller;

/// How many tasks of one type wait for pollers.
#[utoipa::path(get, path = "/api/tasks/queue/size", tag = "tasks", params(("taskType" = String, Query)),
    responses((status = 200, body = u64)))]
pub(super) async fn size(State(state): State<ApiState>, caller: Caller, params: Params) -> Result<Json<u64>, ApiError> {
    let wanted = params.text("taskType").ok_or_else(|| {
        ApiError::bad_request("query-invalid", "query parameter taskType is missing; name the task definition to count")
    })?;
    Ok(Json(state.app.queue_sizes(&caller.tenant).await?.get(wanted).copied().unwrap_or(0)))
}

/// How many tasks of some types wait for pollers.
#[utoipa::path(get, path = "/api/tasks/queue/sizes", tag = "tasks",
    params(("taskType" = Vec<String>, Query, description = "May be given several times")),
    responses((status = 200, body = Object, description = "{type: number}")))]
pub(super) async fn sizes(
    State(state): State<ApiState>,
    caller: Caller,
    params: Params,
) -> Result<Json<BTreeMap<String, u64>>, ApiError> {
    let sizes = state.app.queue_sizes(&caller.tenant).await?;
    let wanted = params.all("taskType").flat_map(|list| list.split(','));
    Ok(Json(wanted.map(|name| (name.to_owned(), sizes.get(name).copied().unwrap_or(0))).collect()))
}

/// How many tasks wait for pollers, by type.
#[utoipa::path(get, path = "/api/tasks/queue/all", tag = "tasks", responses((status = 200, body = Object, description = "{type: number}")))]
pub(super) async fn all(State(state): State<ApiState>, caller: Caller) -> Result<Json<BTreeMap<String, u64>>, ApiError> {
    Ok(Json(state.app.queue_sizes(&caller.tenant).await?))
}
