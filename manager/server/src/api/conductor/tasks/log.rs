//! Log lines that workers write, and reading any task's log as Conductor shows it.

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use conductor_model::{TaskId, Timestamp};
use serde::Serialize;

use super::super::load;
use crate::api::ApiError;
use crate::api::extract::{read_body, task_id};
use crate::api::limits::{LOG_LINES_MAX, WORKER_LOG_BYTES_MAX};
use crate::api::state::ApiState;
use crate::app::Caller;

/// Conductor's TaskExecLog.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LogView {
    log: String,
    task_id: TaskId,
    created_time: Timestamp,
}

/// Appends to a task's log. The body is the raw text, whatever its content type says.
#[utoipa::path(post, path = "/api/tasks/{id}/log", tag = "tasks", params(("id" = String, Path)),
    request_body(content = String, content_type = "text/plain"),
    responses((status = 200, description = "Stored"), (status = 404, description = "There is no such task")))]
pub(super) async fn append(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    request: Request,
) -> Result<(), ApiError> {
    let text = read_body(request, WORKER_LOG_BYTES_MAX).await?;
    let task = load::task(&state, &caller.tenant, task_id(&id)?).await?;
    let line = vec![(crate::clock::now(), String::from_utf8_lossy(&text).into_owned())];
    Ok(state.app.read(move |store| store.append_worker_logs(&caller.tenant, task.id, line)).await?)
}

/// A task's log.
#[utoipa::path(get, path = "/api/tasks/{id}/log", tag = "tasks", params(("id" = String, Path)),
    responses((status = 200, body = Vec<crate::api::shapes::TaskLog>, description = "[{log, taskId, createdTime}]"), (status = 204, description = "It is empty"),
        (status = 404, description = "There is no such task")))]
pub(super) async fn read(State(state): State<ApiState>, caller: Caller, Path(id): Path<String>) -> Result<Response, ApiError> {
    let task = load::task(&state, &caller.tenant, task_id(&id)?).await?;
    let lines = state.app.read(move |store| store.logs(&caller.tenant, task.id, 0, LOG_LINES_MAX)).await?;
    if lines.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let shown = lines.into_iter().map(|line| LogView { log: line.text, task_id: line.task_id, created_time: line.at });
    Ok(Json(shown.collect::<Vec<_>>()).into_response())
}
