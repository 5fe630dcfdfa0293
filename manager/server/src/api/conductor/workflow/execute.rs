//! Starting a workflow and waiting for it.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};

use super::super::run_view::{RunView, Strategy};
use super::start::StartBody;
use super::state::at_most;
use crate::api::ApiError;
use crate::api::extract::{JsonBody, Params};
use crate::api::state::ApiState;
use crate::app::Caller;

/// Seconds that a request waits for a workflow where none are given.
const WAIT_SECONDS_DEFAULT: usize = 10;
/// Seconds that a request may wait for a workflow.
const WAIT_SECONDS_MAX: usize = 120;

/// Starts a workflow and answers once it is over, waits for somebody (HUMAN, WAIT without a time), has one of the steps in
/// `waitUntilTaskRef` behind it, or the time is over, with how it stands then. The name and the version in the path win over those in the body.
#[utoipa::path(post, path = "/api/workflow/execute/{name}/{version}", tag = "workflows",
    params(("name" = String, Path), ("version" = i32, Path), ("requestId" = Option<String>, Query, description = "Comes back in the answer"),
        ("waitUntilTaskRef" = Option<String>, Query, description = "Reference names, joined by commas"),
        ("waitForSeconds" = Option<u32>, Query, description = "Default 10, at most 120"),
        ("consistency" = Option<String>, Query, description = "Means nothing here: what is answered is stored"),
        ("returnStrategy" = Option<String>, Query, description = "TARGET_WORKFLOW (default), BLOCKING_WORKFLOW, BLOCKING_TASK or BLOCKING_TASK_INPUT")),
    request_body(content = crate::api::bodies::StartWorkflowRequest, description = "StartWorkflowRequest"),
    responses((status = 200, body = Object, description = "The workflow or task, with responseType, targetWorkflowId, targetWorkflowStatus, requestId"),
        (status = 400, description = "Invalid"), (status = 404, description = "No such definition or version"),
        (status = 409, description = "The idempotency key was used")))]
pub(super) async fn execute(
    State(state): State<ApiState>,
    caller: Caller,
    Path((name, version)): Path<(String, String)>,
    params: Params,
    JsonBody(body): JsonBody<StartBody>,
) -> Result<Response, ApiError> {
    let strategy = Strategy::from_params(&params)?;
    let wait = wait_seconds(&params)?;
    let version = version
        .parse::<i32>()
        .map_err(|_| ApiError::bad_request("version-invalid", format!("version {version:?} is not a whole number")))?;
    // Version 0 is what SDKs send for "whichever is the highest".
    let command = body.of(name, (version != 0).then_some(version)).into_command(&caller)?;
    let feed = state.app.subscribe();
    let id = state.app.start_workflow(&caller.tenant, command).await?;
    let standing = state.app.wait_for(&caller.tenant, id, references(&params), feed, wait).await?;
    Ok(Json(RunView::new(&state, &standing, strategy, params.text("requestId")).await?).into_response())
}

/// How long to wait.
pub(super) fn wait_seconds(params: &Params) -> Result<Duration, ApiError> {
    params.number("waitForSeconds", WAIT_SECONDS_DEFAULT, WAIT_SECONDS_MAX).map(at_most)
}

/// The steps to wait for.
pub(super) fn references(params: &Params) -> Arc<[String]> {
    let all = params.all("waitUntilTaskRef").flat_map(|list| list.split(',')).map(str::trim);
    all.filter(|reference| !matches!(*reference, "" | "None" | "null")).map(str::to_owned).collect()
}
