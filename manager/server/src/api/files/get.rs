//! Reading a file, a part of it, or what is known of it.

use std::io::SeekFrom;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::range::part_of;
use super::{headers, key};
use crate::api::ApiError;
use crate::api::extract::Params;
use crate::api::state::ApiState;
use crate::app::files::{ByteRange, FileKey, OpenFile};
use crate::app::{AppError, Caller};

/// Bytes read from disk at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// A file. With `?list`, the entries of a folder.
#[utoipa::path(get, path = "/resources/{area}/{tenant}/{*path}", tag = "files",
    params(("area" = String, Path), ("tenant" = String, Path), ("path" = String, Path), ("list" = Option<String>, Query, description = "List a folder"),
        ("Range" = Option<String>, Header, description = "One range, as in bytes=0-99"), ("If-None-Match" = Option<String>, Header)),
    responses((status = 200, content_type = "application/octet-stream", body = Vec<u8>, description = "ETag and X-Checksum-Sha256 have the digest"),
        (status = 206, description = "The range"), (status = 304, description = "The caller has it"),
        (status = 403, description = "Another tenant's"), (status = 404, description = "There is none"),
        (status = 416, description = "No such range")))]
pub(super) async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    Path(parts): Path<(String, String, String)>,
    params: Params,
    asked: HeaderMap,
) -> Result<Response, ApiError> {
    let key = key(&caller, parts)?;
    if params.is_given("list") {
        return folder(&state, key).await;
    }
    let open = open(&state, key).await?;
    let headers = headers(&open.info);
    if is_known(&asked, &headers) {
        return Ok((StatusCode::NOT_MODIFIED, headers).into_response());
    }
    let part = part_of(&asked, &headers, open.info.size_bytes)?;
    send(open, headers, part).await
}

/// What is known of a file.
#[utoipa::path(head, path = "/resources/{area}/{tenant}/{*path}", tag = "files",
    params(("area" = String, Path), ("tenant" = String, Path), ("path" = String, Path)),
    responses((status = 200, description = "ETag, X-Checksum-Sha256, Content-Length"), (status = 403, description = "Another tenant's"),
        (status = 404, description = "There is none")))]
pub(super) async fn head(
    State(state): State<ApiState>,
    caller: Caller,
    Path(parts): Path<(String, String, String)>,
) -> Result<Response, ApiError> {
    let open = open(&state, key(&caller, parts)?).await?;
    let mut headers = headers(&open.info);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(open.info.size_bytes));
    Ok(headers.into_response())
}

async fn open(state: &ApiState, key: FileKey) -> Result<OpenFile, ApiError> {
    let path = key.to_string();
    let found = state.files.read(key).await.map_err(AppError::from)?;
    found.ok_or_else(|| ApiError::not_found("file", path))
}

async fn folder(state: &ApiState, key: FileKey) -> Result<Response, ApiError> {
    let path = key.to_string();
    let found = state.files.list(key).await.map_err(AppError::from)?;
    let entries = found.ok_or_else(|| ApiError::not_found("folder", path))?;
    Ok(Json(crate::api::own::List::whole(entries)).into_response())
}

/// Whether the caller has these bytes already.
fn is_known(asked: &HeaderMap, known: &HeaderMap) -> bool {
    let Some(tag) = known.get(header::ETAG).and_then(|tag| tag.to_str().ok()) else { return false };
    let asked = asked.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    asked.split(',').map(|text| text.trim().trim_start_matches("W/")).any(|text| text == tag || text == "*")
}

async fn send(open: OpenFile, mut headers: HeaderMap, part: Option<ByteRange>) -> Result<Response, ApiError> {
    let size = open.info.size_bytes;
    let mut file = tokio::fs::File::from_std(open.file);
    let (status, length) = match part {
        None => (StatusCode::OK, size),
        Some(part) => {
            file.seek(SeekFrom::Start(part.first)).await.map_err(|error| {
                tracing::error!(%error, "a file cannot be read from its middle");
                ApiError::internal()
            })?;
            let shown = format!("bytes {}-{}/{size}", part.first, part.last);
            headers
                .insert(header::CONTENT_RANGE, HeaderValue::from_str(&shown).unwrap_or(HeaderValue::from_static("bytes */*")));
            (StatusCode::PARTIAL_CONTENT, part.last - part.first + 1)
        }
    };
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    let body = Body::from_stream(ReaderStream::with_capacity(file.take(length), CHUNK_BYTES));
    Ok((status, headers, body).into_response())
}
