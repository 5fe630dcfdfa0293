//! Doing without a step.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::api::ApiError;
use crate::api::extract::{OptionalJson, Params, parse_optional, parse_python, workflow_id};
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

/// Reads the query parameter as [`skip`] does.
pub(in crate::api) fn read_skip_query(bytes: &[u8]) -> Result<(), ApiError> {
    let text = std::str::from_utf8(bytes).map_err(|error| ApiError::bad_request("query-malformed", error.to_string()))?;
    from_query(text).map(|_| ()).ok_or_else(|| ApiError::bad_request("query-malformed", "it is no SkipTaskRequest"))
}

/// A SkipTaskRequest in the form of the caller's language; `None` = it cannot be read.
fn from_query(text: &str) -> Option<SkipBody> {
    SkipBody::deserialize(parse_python(text)?).ok()
}

/// Does without a step that was not scheduled yet: it counts as SKIPPED with this input and output. Some SDKs send no body but
/// the query parameter `skipTaskRequest`, in their language's own form: Python's counts, others mean nothing.
#[utoipa::path(put, path = "/api/workflow/{id}/skiptask/{reference}", tag = "workflows",
    params(("id" = String, Path), ("reference" = String, Path, description = "The step's reference name"),
        ("skipTaskRequest" = Option<String>, Query, description = "The body, as JSON or as Python writes it; ignored where it is neither; what a body says comes first")),
    request_body(content = Option<crate::api::bodies::SkipTaskRequest>, description = "SkipTaskRequest: taskInput, taskOutput"),
    responses((status = 200, description = "It will be skipped"), (status = 404, description = "There is no such workflow or step"),
        (status = 409, description = "The step was scheduled already, or the workflow is not running")))]
pub(super) async fn skip(
    State(state): State<ApiState>,
    caller: Caller,
    Path((id, reference)): Path<(String, String)>,
    params: Params,
    OptionalJson(body): OptionalJson<SkipBody>,
) -> Result<(), ApiError> {
    let asked = params.text("skipTaskRequest").and_then(from_query).unwrap_or_default();
    let input = body.task_input.or(asked.task_input).unwrap_or_default();
    let output = body.task_output.or(asked.task_output).unwrap_or_default();
    Ok(state.app.skip_step(&caller.tenant, workflow_id(&id)?, reference, input, output).await?)
}
