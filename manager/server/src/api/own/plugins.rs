//! `/api/v1/plugins`.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use conductor_model::{PluginDigest, PluginName, PluginRecord};
use tokio_util::io::ReaderStream;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::List;
use crate::api::ApiError;
use crate::api::extract::{Params, UploadStream, name_in_path};
use crate::api::state::ApiState;
use crate::app::Caller;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list, upload)).routes(routes!(get)).routes(routes!(archive)).routes(routes!(delete))
}

/// All plugins in all versions, by name and time of upload.
#[utoipa::path(get, path = "/api/v1/plugins", tag = "plugins",
    responses((status = 200, body = crate::api::shapes::Items<crate::api::shapes::Plugin>, description = "{items: [{name, version, digest, size_bytes, media_type, manifest, uploaded_at}], metadata}")))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Result<Json<List<PluginRecord>>, ApiError> {
    Ok(Json(List::whole(state.app.read(move |store| store.plugins(&caller.tenant)).await?)))
}

/// Uploads a plugin: its directory with `plugin.yaml`, as `.tar.gz` or `.tar.zst`.
#[utoipa::path(post, path = "/api/v1/plugins", tag = "plugins",
    request_body(description = "The archive, whose first bytes say what it is",
        content(([u8] = "application/gzip"), ([u8] = "application/zstd"), ([u8] = "application/octet-stream"))),
    responses((status = 201, body = crate::api::shapes::Plugin, description = "New: name, version, digest and more"), (status = 200, body = crate::api::shapes::Plugin, description = "The same archive was there"),
        (status = 400, description = "The archive or its manifest is not right"), (status = 409, description = "Name and version are taken by other contents"),
        (status = 413, description = "Too large")))]
async fn upload(State(state): State<ApiState>, caller: Caller, request: Request) -> Result<Response, ApiError> {
    let limit = state.limits().plugin_archive_bytes as u64;
    let mut body = UploadStream::of(request, limit, "the plugin's archive").await?;
    let uploaded = state.plugins.upload(&state.app, &caller.tenant, &mut body, limit).await;
    let (plugin, is_new) = body.finish(uploaded).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(plugin)).into_response())
}

/// One plugin: the version that was uploaded last, unless one is named.
#[utoipa::path(get, path = "/api/v1/plugins/{name}", tag = "plugins", params(("name" = String, Path), ("version" = Option<String>, Query)),
    responses((status = 200, body = crate::api::shapes::Plugin), (status = 404, description = "There is none")))]
async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
    params: Params,
) -> Result<Json<PluginRecord>, ApiError> {
    let wanted: PluginName = name_in_path(&name)?;
    let version = params.text("version").map(str::to_owned);
    let found = state.app.read(move |store| store.plugin(&caller.tenant, &wanted, version.as_deref())).await?;
    found.map(Json).ok_or_else(|| ApiError::not_found("plugin", name))
}

/// A plugin's archive.
#[utoipa::path(get, path = "/api/v1/plugins/by-digest/{digest}/archive", tag = "plugins", params(("digest" = String, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/gzip"), (status = 404, description = "There is none")))]
async fn archive(State(state): State<ApiState>, caller: Caller, Path(digest): Path<String>) -> Result<Response, ApiError> {
    let digest: PluginDigest = name_in_path(&digest)?;
    let (plugin, file) = state.plugins.archive(&state.app, &caller.tenant, &digest).await?;
    let body = Body::from_stream(ReaderStream::with_capacity(tokio::fs::File::from_std(file), 64 * 1024));
    let media_type = HeaderValue::from_str(&plugin.media_type).unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let headers = [
        (header::CONTENT_TYPE, media_type),
        (header::CONTENT_LENGTH, HeaderValue::from(plugin.size_bytes)),
        (header::ETAG, HeaderValue::from_str(&format!("\"{digest}\"")).unwrap_or(HeaderValue::from_static("\"\""))),
    ];
    Ok((headers, body).into_response())
}

/// Removes a plugin. Agents that have it in their cache keep it.
#[utoipa::path(delete, path = "/api/v1/plugins/by-digest/{digest}", tag = "plugins", params(("digest" = String, Path)),
    responses((status = 204, description = "Removed"), (status = 404, description = "There is none")))]
async fn delete(State(state): State<ApiState>, caller: Caller, Path(digest): Path<String>) -> Result<StatusCode, ApiError> {
    let digest: PluginDigest = name_in_path(&digest)?;
    state.plugins.delete(&state.app, &caller.tenant, &digest).await?;
    Ok(StatusCode::NO_CONTENT)
}
