//! `/api/metadata/taskdefs`.

use axum::Json;
use axum::extract::{Path, State};
use conductor_model::TaskDef;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::ApiError;
use crate::api::extract::{JsonBody, JsonListOrOne};
use crate::api::state::ApiState;
use crate::app::Caller;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, put_all, update)).routes(routes!(get, delete))
}

/// Every task definition.
#[utoipa::path(get, path = "/api/metadata/taskdefs", tag = "metadata",
    responses((status = 200, body = Vec<crate::api::shapes::TaskDef>, description = "Task definitions, by name")))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Result<Json<Vec<TaskDef>>, ApiError> {
    Ok(Json(state.app.read(move |store| store.task_defs(&caller.tenant)).await?))
}

/// Stores task definitions, new or again; all or none.
#[utoipa::path(post, path = "/api/metadata/taskdefs", tag = "metadata",
    request_body(content = Vec<crate::api::bodies::TaskDefinition>, description = "Task definitions. One with the key `agent` runs on agents"),
    responses((status = 200, description = "Stored"), (status = 400, description = "Nothing was stored; validationErrors says why"),
        (status = 409, description = "Nothing was stored: one of them is locked")))]
async fn put_all(
    State(state): State<ApiState>,
    caller: Caller,
    JsonListOrOne(definitions): JsonListOrOne<TaskDef>,
) -> Result<(), ApiError> {
    Ok(state.app.put_task_defs(&caller.tenant, definitions, &caller.name).await?)
}

/// Changes a task definition that is there.
#[utoipa::path(put, path = "/api/metadata/taskdefs", tag = "metadata", request_body(content = crate::api::bodies::TaskDefinition, description = "A task definition"),
    responses((status = 200, description = "Stored"), (status = 400, description = "Invalid"), (status = 404, description = "There is none of this name"),
        (status = 409, description = "It is locked")))]
async fn update(
    State(state): State<ApiState>,
    caller: Caller,
    JsonBody(definition): JsonBody<TaskDef>,
) -> Result<(), ApiError> {
    existing(&state, &caller, definition.name.clone()).await?;
    Ok(state.app.put_task_defs(&caller.tenant, vec![definition], &caller.name).await?)
}

/// One task definition.
#[utoipa::path(get, path = "/api/metadata/taskdefs/{name}", tag = "metadata", params(("name" = String, Path)),
    responses((status = 200, body = crate::api::shapes::TaskDef), (status = 404, description = "There is none of this name")))]
async fn get(State(state): State<ApiState>, caller: Caller, Path(name): Path<String>) -> Result<Json<TaskDef>, ApiError> {
    Ok(Json(existing(&state, &caller, name).await?))
}

/// Removes a task definition. Running workflows keep theirs.
#[utoipa::path(delete, path = "/api/metadata/taskdefs/{name}", tag = "metadata", params(("name" = String, Path)),
    responses((status = 200, description = "Removed"), (status = 404, description = "There is none of this name"),
        (status = 409, description = "It is locked")))]
async fn delete(State(state): State<ApiState>, caller: Caller, Path(name): Path<String>) -> Result<(), ApiError> {
    Ok(state.app.delete_task_def(&caller.tenant, &name, &caller.name).await?)
}

async fn existing(state: &ApiState, caller: &Caller, name: String) -> Result<TaskDef, ApiError> {
    let (tenant, wanted) = (caller.tenant.clone(), name.clone());
    let found = state.app.read(move |store| store.task_def(&tenant, &wanted)).await?;
    found.ok_or_else(|| ApiError::not_found("task definition", name))
}
