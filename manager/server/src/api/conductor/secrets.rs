//! `/api/secrets` and `/api/environment`: values that tasks get when they are handed over.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use conductor_engine::Sealed;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::plain;
use crate::api::ApiError;
use crate::api::extract::read_body;
use crate::api::state::ApiState;
use crate::app::{Caller, SECRET_BYTES_MAX};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(secret_names, secret_names_by_post))
        .routes(routes!(put_secret, delete_secret))
        .routes(routes!(has_secret))
        .routes(routes!(environment))
        .routes(routes!(environment_value, put_environment, delete_environment))
}

/// The names of all secrets. Their values cannot be read back.
#[utoipa::path(get, path = "/api/secrets", tag = "secrets", responses((status = 200, body = Vec<String>)))]
async fn secret_names(State(state): State<ApiState>, caller: Caller) -> Json<Vec<String>> {
    Json(state.app.value_names(&caller.tenant, Sealed::Secret))
}

/// The names of all secrets, as some SDKs ask for them.
#[utoipa::path(post, path = "/api/secrets", tag = "secrets", responses((status = 200, body = Vec<String>)))]
async fn secret_names_by_post(State(state): State<ApiState>, caller: Caller) -> Json<Vec<String>> {
    Json(state.app.value_names(&caller.tenant, Sealed::Secret))
}

/// Stores a secret, new or again. Expressions name it as `${workflow.secrets.NAME}`.
#[utoipa::path(put, path = "/api/secrets/{name}", tag = "secrets", params(("name" = String, Path)),
    request_body(content = String, content_type = "text/plain", description = "The value, as text or as a JSON string"),
    responses((status = 200, description = "Stored"), (status = 400, description = "Invalid"), (status = 413, description = "Too large"),
        (status = 409, description = "Too many values")))]
async fn put_secret(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<(), ApiError> {
    Ok(state.app.put_value(&caller.tenant, Sealed::Secret, &name, text(request).await?).await?)
}

/// Removes a secret.
#[utoipa::path(delete, path = "/api/secrets/{name}", tag = "secrets", params(("name" = String, Path)),
    responses((status = 200, description = "Removed"), (status = 404, description = "There is none of this name")))]
async fn delete_secret(State(state): State<ApiState>, caller: Caller, Path(name): Path<String>) -> Result<(), ApiError> {
    Ok(state.app.delete_value(&caller.tenant, Sealed::Secret, &name).await?)
}

/// Whether there is a secret of this name.
#[utoipa::path(get, path = "/api/secrets/{name}/exists", tag = "secrets", params(("name" = String, Path)),
    responses((status = 200, content_type = "application/json", body = bool, description = "Whether there is one")))]
async fn has_secret(State(state): State<ApiState>, caller: Caller, Path(name): Path<String>) -> Json<bool> {
    Json(state.app.value_names(&caller.tenant, Sealed::Secret).contains(&name))
}

/// All environment values.
#[utoipa::path(get, path = "/api/environment", tag = "secrets", responses((status = 200, body = BTreeMap<String, String>, description = "{name: value}")))]
async fn environment(State(state): State<ApiState>, caller: Caller) -> Json<BTreeMap<String, String>> {
    Json(state.app.environment(&caller.tenant))
}

/// One environment value.
#[utoipa::path(get, path = "/api/environment/{name}", tag = "secrets", params(("name" = String, Path)),
    responses((status = 200, content_type = "text/plain", body = String), (status = 404, description = "There is none of this name")))]
async fn environment_value(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let value = state.app.environment(&caller.tenant).remove(&name);
    value.map(|value| plain(&value)).ok_or_else(|| ApiError::not_found("environment value", name))
}

/// Stores an environment value, new or again. Expressions name it as `${workflow.env.NAME}`.
#[utoipa::path(put, path = "/api/environment/{name}", tag = "secrets", params(("name" = String, Path)),
    request_body(content = String, content_type = "text/plain", description = "The value, as text or as a JSON string"),
    responses((status = 200, description = "Stored"), (status = 400, description = "Invalid"), (status = 413, description = "Too large"),
        (status = 409, description = "Too many values")))]
async fn put_environment(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
    request: Request,
) -> Result<(), ApiError> {
    Ok(state.app.put_value(&caller.tenant, Sealed::Environment, &name, text(request).await?).await?)
}

/// Removes an environment value.
#[utoipa::path(delete, path = "/api/environment/{name}", tag = "secrets", params(("name" = String, Path)),
    responses((status = 200, description = "Removed"), (status = 404, description = "There is none of this name")))]
async fn delete_environment(State(state): State<ApiState>, caller: Caller, Path(name): Path<String>) -> Result<(), ApiError> {
    Ok(state.app.delete_value(&caller.tenant, Sealed::Environment, &name).await?)
}

/// The body: a JSON string, or the text itself.
async fn text(request: Request) -> Result<String, ApiError> {
    // Quotes and escapes of a JSON string need room beside the value.
    let bytes = read_body(request, 2 * SECRET_BYTES_MAX).await?;
    if let Ok(text) = serde_json::from_slice::<String>(&bytes) {
        return Ok(text);
    }
    String::from_utf8(bytes.into()).map_err(|_| ApiError::bad_request("body-invalid", "the value is no UTF-8 text"))
}
