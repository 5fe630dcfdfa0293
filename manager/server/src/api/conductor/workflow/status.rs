//! Reading where a workflow stands.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

use super::super::load;
use crate::api::ApiError;
use crate::api::extract::{Params, workflow_id};
use crate::api::state::ApiState;
use crate::app::Caller;

/// Conductor's WorkflowStatus.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    workflow_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<String>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    output: Option<Arc<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    variables: Option<Arc<Value>>,
}

/// Where a workflow stands.
#[utoipa::path(get, path = "/api/workflow/{id}/status", tag = "workflows",
    params(("id" = String, Path), ("includeOutput" = Option<bool>, Query), ("includeVariables" = Option<bool>, Query)),
    responses((status = 200, body = Status), (status = 404, description = "There is none")))]
pub(super) async fn status(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<Status>, ApiError> {
    let (with_output, with_variables) = (params.flag("includeOutput", false)?, params.flag("includeVariables", false)?);
    let workflow = load::workflow(&state, &caller.tenant, workflow_id(&id)?).await?;
    Ok(Json(Status {
        workflow_id: workflow.id.to_string(),
        correlation_id: workflow.correlation_id,
        status: workflow.status.as_str(),
        output: with_output.then_some(workflow.output),
        variables: with_variables.then_some(workflow.variables),
    }))
}
