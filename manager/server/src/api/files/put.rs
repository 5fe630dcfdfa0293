//! Storing a file.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::{CHECKSUM, headers, key};
use crate::api::ApiError;
use crate::api::extract::UploadStream;
use crate::api::state::ApiState;
use crate::app::Caller;
use crate::app::files::Sent;

/// What was stored.
#[derive(Debug, Serialize, ToSchema)]
struct Stored {
    path: String,
    size_bytes: u64,
    sha256: String,
}

/// Stores a file, new or again. Readers see the old bytes or the new ones, never a part.
#[utoipa::path(put, path = "/resources/{area}/{tenant}/{*path}", tag = "files",
    params(("area" = String, Path), ("tenant" = String, Path), ("path" = String, Path),
        ("X-Checksum-Sha256" = Option<String>, Header, description = "Refuse the bytes unless they have this digest")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 201, body = Stored, description = "New"), (status = 200, body = Stored, description = "Replaced"), (status = 400, description = "Path or digest is wrong"),
        (status = 403, description = "Another tenant's"), (status = 409, description = "A folder or file is in the way"), (status = 413, description = "Too large")))]
pub(super) async fn put(
    State(state): State<ApiState>,
    caller: Caller,
    Path(parts): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let key = key(&caller, parts)?;
    let (media_type, expected) = (text(&request, &header::CONTENT_TYPE), text(&request, &CHECKSUM));
    let path = key.to_string();
    let limit = state.limits().file_bytes;
    let mut body = UploadStream::of(request, limit, "the file").await?;
    let put = state.files.put(key, &mut body, limit, Sent { media_type, sha256: expected }).await;
    let (info, is_new) = body.finish(put).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    let mut headers = headers(&info);
    headers.remove(header::CONTENT_TYPE);
    Ok((status, headers, Json(Stored { path, size_bytes: info.size_bytes, sha256: info.sha256 })).into_response())
}

fn text(request: &Request, name: &HeaderName) -> Option<String> {
    request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}
