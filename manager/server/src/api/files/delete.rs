//! Removing a file.

use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::key;
use crate::api::ApiError;
use crate::api::state::ApiState;
use crate::app::{AppError, Caller};

/// Removes a file.
#[utoipa::path(delete, path = "/resources/{area}/{tenant}/{*path}", tag = "files",
    params(("area" = String, Path), ("tenant" = String, Path), ("path" = String, Path)),
    responses((status = 204, description = "Removed"), (status = 403, description = "Another tenant's"), (status = 404, description = "There is none")))]
pub(super) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    Path(parts): Path<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    let key = key(&caller, parts)?;
    let path = key.to_string();
    let there_was = state.files.delete(key).await.map_err(AppError::from)?;
    if there_was { Ok(StatusCode::NO_CONTENT) } else { Err(ApiError::not_found("file", path)) }
}
