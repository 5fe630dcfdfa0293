//! Doing without a step.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::api::ApiError;
use crate::api::extract::{OptionalJson, parse_optional, workflow_id};
use crate::api::state::ApiState;
use crate::app::Caller;

/// Conductor's SkipTaskRequest.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SkipBody {
    task_input: Option<Map<String, Value>>,
    task_output: Option<Map<String, Value>>,
}

/// Reads a body as [`skip`] does.
pub(in crate::api) fn read_skip(bytes: &[u8]) -> Result<(), ApiError> {
    parse_optional::<SkipBody>(bytes).map(|_| ())
}

/// Does without a step that was not scheduled yet: it counts as SKIPPED with this input and output. SDKs also send a query
/// parameter `skipTaskRequest` in their language's own form, which means nothing here.
#[utoipa::path(put, path = "/api/workflow/{id}/skiptask/{reference}", tag = "workflows",
    params(("id" = String, Path), ("reference" = String, Path, description = "The step's reference name")),
    request_body(content = Option<crate::api::bodies::SkipTaskRequest>, description = "SkipTaskRequest: taskInput, taskOutput"),
    responses((status = 200, description = "It will be skipped"), (status = 404, description = "There is no such workflow or step"),
        (status = 409, description = "The step was scheduled already, or the workflow is not running")))]
pub(super) async fn skip(
    State(state): State<ApiState>,
    caller: Caller,
    Path((id, reference)): Path<(String, String)>,
    OptionalJson(body): OptionalJson<SkipBody>,
) -> Result<(), ApiError> {
    let (input, output) = (body.task_input.unwrap_or_default(), body.task_output.unwrap_or_default());
    Ok(state.app.skip_step(&caller.tenant, workflow_id(&id)?, reference, input, output).await?)
}
