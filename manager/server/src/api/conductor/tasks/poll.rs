//! Handing tasks to polling workers.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;

use super::super::load;
use crate::api::ApiError;
use crate::api::extract::Params;
use crate::api::limits::{POLL_TASKS_MAX, POLL_WAIT_MS_DEFAULT};
use crate::api::state::{ApiState, shut_down};
use crate::app::Caller;
use crate::app::core::HandedOut;

/// Hands out one task of a type, if there is one.
#[utoipa::path(get, path = "/api/tasks/poll/{type}", tag = "tasks",
    params(("type" = String, Path, description = "Name of the task definition"), ("workerid" = Option<String>, Query), ("domain" = Option<String>, Query)),
    responses((status = 200, body = crate::api::shapes::Task, description = "Task"), (status = 204, description = "There is none")))]
pub(super) async fn poll(
    State(state): State<ApiState>,
    caller: Caller,
    Path(task_type): Path<String>,
    params: Params,
) -> Result<Response, ApiError> {
    let mut tasks = take(&state, &caller, &task_type, &params, 1, Duration::ZERO).await?;
    load::handed_answer(tasks.pop().as_ref())
}

/// Hands out tasks of a type; waits for the first.
#[utoipa::path(get, path = "/api/tasks/poll/batch/{type}", tag = "tasks",
    params(("type" = String, Path, description = "Name of the task definition"), ("workerid" = Option<String>, Query), ("domain" = Option<String>, Query),
        ("count" = Option<u32>, Query, description = "Default 1"), ("timeout" = Option<u64>, Query, description = "Longest wait in ms, at most `limits.poll_wait_ms` of the settings, which is 60000 unless set; default 100")),
    responses((status = 200, body = Vec<crate::api::shapes::Task>, description = "Tasks; empty when none came")))]
pub(super) async fn poll_batch(
    State(state): State<ApiState>,
    caller: Caller,
    Path(task_type): Path<String>,
    params: Params,
) -> Result<Response, ApiError> {
    let count = params.number("count", 1, POLL_TASKS_MAX)?.max(1);
    let wait_ms = params.value::<u64>("timeout")?.unwrap_or(POLL_WAIT_MS_DEFAULT);
    let longest_ms = state.limits().poll_wait_ms;
    if wait_ms > longest_ms {
        let message = format!("query parameter timeout is {wait_ms} ms; at most {longest_ms} are allowed");
        return Err(ApiError::bad_request("query-invalid", message));
    }
    let tasks = take(&state, &caller, &task_type, &params, count, Duration::from_millis(wait_ms)).await?;
    load::handed_list(&tasks)
}

async fn take(
    state: &ApiState,
    caller: &Caller,
    task_type: &str,
    params: &Params,
    count: usize,
    wait: Duration,
) -> Result<Vec<HandedOut>, ApiError> {
    let worker = params.text("workerid").unwrap_or(&caller.name);
    let polled = state.app.poll_tasks(&caller.tenant, task_type, params.text("domain"), worker, count, wait);
    let mut shutdown = state.shutdown();
    tokio::select! {
        biased;
        tasks = polled => Ok(tasks?),
        () = shut_down(&mut shutdown) => Ok(Vec::new()),
    }
}
