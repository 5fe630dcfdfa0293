//! `/api/schema`: JSON Schemas that definitions name.

use axum::Json;
use axum::extract::{Path, State};
use conductor_model::SchemaDef;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::ApiError;
use crate::api::extract::{JsonListOrOne, Params};
use crate::api::state::ApiState;
use crate::app::Caller;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, put)).routes(routes!(latest, delete_all)).routes(routes!(version, delete_version))
}

/// Every schema.
#[utoipa::path(get, path = "/api/schema", tag = "metadata", responses((status = 200, body = Vec<crate::api::shapes::Schema>, description = "Schemas, by name and version")))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Result<Json<Vec<SchemaDef>>, ApiError> {
    Ok(Json(state.app.schemas(&caller.tenant, None).await?))
}

/// Stores schemas, new or again.
#[utoipa::path(post, path = "/api/schema", tag = "metadata",
    params(("newVersion" = Option<bool>, Query, description = "Give each the next version of its name")),
    request_body(content = Object, description = "A schema, or a list of them: name, version, type (JSON), data (the JSON Schema)"),
    responses((status = 200, description = "Stored"), (status = 400, description = "Invalid; validationErrors says why")))]
async fn put(
    State(state): State<ApiState>,
    caller: Caller,
    params: Params,
    JsonListOrOne(schemas): JsonListOrOne<SchemaDef>,
) -> Result<(), ApiError> {
    let new_version = params.flag("newVersion", false)?;
    Ok(state.app.put_schemas(&caller.tenant, schemas, new_version, &caller.name).await?)
}

/// The highest version of a schema.
#[utoipa::path(get, path = "/api/schema/{name}", tag = "metadata", params(("name" = String, Path)),
    responses((status = 200, body = crate::api::shapes::Schema), (status = 404, description = "There is none of this name")))]
async fn latest(State(state): State<ApiState>, caller: Caller, Path(name): Path<String>) -> Result<Json<SchemaDef>, ApiError> {
    Ok(Json(state.app.schema(&caller.tenant, &name, None).await?))
}

/// One version of a schema.
#[utoipa::path(get, path = "/api/schema/{name}/{version}", tag = "metadata", params(("name" = String, Path), ("version" = i32, Path)),
    responses((status = 200, body = crate::api::shapes::Schema), (status = 400, description = "The version is no number"), (status = 404, description = "There is none of this name and version")))]
async fn version(
    State(state): State<ApiState>,
    caller: Caller,
    Path((name, version)): Path<(String, String)>,
) -> Result<Json<SchemaDef>, ApiError> {
    Ok(Json(state.app.schema(&caller.tenant, &name, Some(number(&version)?)).await?))
}

/// Removes every version of a schema.
#[utoipa::path(delete, path = "/api/schema/{name}", tag = "metadata", params(("name" = String, Path)),
    responses((status = 200, description = "Removed"), (status = 404, description = "There is none of this name")))]
async fn delete_all(State(state): State<ApiState>, caller: Caller, Path(name): Path<String>) -> Result<(), ApiError> {
    Ok(state.app.delete_schema(&caller.tenant, &name, None).await?)
}

/// Removes one version of a schema.
#[utoipa::path(delete, path = "/api/schema/{name}/{version}", tag = "metadata", params(("name" = String, Path), ("version" = i32, Path)),
    responses((status = 200, description = "Removed"), (status = 400, description = "The version is no number"), (status = 404, description = "There is none of this name and version")))]
async fn delete_version(
    State(state): State<ApiState>,
    caller: Caller,
    Path((name, version)): Path<(String, String)>,
) -> Result<(), ApiError> {
    Ok(state.app.delete_schema(&caller.tenant, &name, Some(number(&version)?)).await?)
}

fn number(text: &str) -> Result<i32, ApiError> {
    text.parse()
        .map_err(|_| ApiError::bad_request("version-invalid", format!("{text:?} is no version; a whole number is expected")))
}
