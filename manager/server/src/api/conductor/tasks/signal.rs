//! Signals: an answer for whatever a workflow waits for, without naming the task.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use conductor_engine::WorkerUpdate;
use conductor_model::WorkflowId;
use serde_json::{Map, Value};

use super::super::run_view::{RunView, Strategy};
use super::super::workflow::no_references;
use super::update::Status;
use crate::api::ApiError;
use crate::api::extract::{OptionalJson, Params, workflow_id};
use crate::api::state::ApiState;
use crate::app::Caller;

/// Milliseconds that a signal waits for what follows on it where none are given.
const SIGNAL_WAIT_MS_DEFAULT: usize = 5_000;
/// Milliseconds that a signal may wait for what follows on it.
const SIGNAL_WAIT_MS_MAX: usize = 120_000;

/// Reports on the task that a workflow waits with, or one of its sub-workflows: HUMAN, or WAIT without a time.
#[utoipa::path(post, path = "/api/tasks/{id}/{status}/signal", tag = "tasks",
    params(("id" = String, Path, description = "The workflow's id"),
        ("status" = String, Path, description = "COMPLETED, FAILED, FAILED_WITH_TERMINAL_ERROR or IN_PROGRESS")),
    request_body(content = Option<Object>, description = "Output"),
    responses((status = 200, description = "Taken"), (status = 400, description = "No such status"),
        (status = 404, description = "There is no such workflow, or it waits for nobody")))]
pub(super) async fn signal(
    State(state): State<ApiState>,
    caller: Caller,
    Path((id, status)): Path<(String, String)>,
    OptionalJson(output): OptionalJson<Map<String, Value>>,
) -> Result<(), ApiError> {
    give(&state, &caller, workflow_id(&id)?, Status::in_path(&status)?, output).await
}

/// As a signal, and answers once the workflow waits for somebody again, is over, or the time is over.
#[utoipa::path(post, path = "/api/tasks/{id}/{status}/signal/sync", tag = "tasks",
    params(("id" = String, Path, description = "The workflow's id"), ("status" = String, Path),
        ("returnStrategy" = Option<String>, Query, description = "TARGET_WORKFLOW (default), BLOCKING_WORKFLOW, BLOCKING_TASK or BLOCKING_TASK_INPUT"),
        ("timeoutMillis" = Option<u32>, Query, description = "Default 5000, at most 120000")),
    request_body(content = Option<Object>, description = "Output"),
    responses((status = 200, body = Object, description = "SignalResponse"), (status = 400, description = "No such status or strategy"),
        (status = 404, description = "There is no such workflow, or it waits for nobody")))]
pub(super) async fn signal_and_wait(
    State(state): State<ApiState>,
    caller: Caller,
    Path((id, status)): Path<(String, String)>,
    params: Params,
    OptionalJson(output): OptionalJson<Map<String, Value>>,
) -> Result<Response, ApiError> {
    let strategy = Strategy::from_params(&params)?;
    let wait = params.number("timeoutMillis", SIGNAL_WAIT_MS_DEFAULT, SIGNAL_WAIT_MS_MAX)?;
    let workflow = workflow_id(&id)?;
    let feed = state.app.subscribe();
    give(&state, &caller, workflow, Status::in_path(&status)?, output).await?;
    let wait = Duration::from_millis(wait as u64);
    let standing = state.app.wait_for(&caller.tenant, workflow, no_references(), feed, wait).await?;
    Ok(Json(RunView::new(&state, &standing, strategy, params.text("requestId")).await?).into_response())
}

async fn give(
    state: &ApiState,
    caller: &Caller,
    workflow: WorkflowId,
    status: Status,
    output: Map<String, Value>,
) -> Result<(), ApiError> {
    let standing = state.app.standing(&caller.tenant, workflow, no_references()).await?;
    let (_, task) =
        standing.blocking.ok_or_else(|| ApiError::not_found("task that waits for somebody in workflow", workflow))?;
    let update = WorkerUpdate {
        task: task.id,
        status: status.into(),
        output,
        merge_output: true,
        reason: None,
        worker_id: None,
        callback_after_seconds: 0,
        extend_lease: false,
    };
    Ok(state.app.update_task(&caller.tenant, update).await?)
}
