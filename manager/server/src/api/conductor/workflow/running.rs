//! The ids of running workflows of one name.

use axum::Json;
use axum::extract::{Path, State};
use conductor_model::{Timestamp, WorkflowId, WorkflowStatus};
use conductor_store::{Page, WorkflowFilter};

use crate::api::ApiError;
use crate::api::extract::Params;
use crate::api::limits::OFFSET_MAX;
use crate::api::state::ApiState;
use crate::app::Caller;

/// The ids of running workflows of one name, newest first.
#[utoipa::path(get, path = "/api/workflow/running/{name}", tag = "workflows",
    params(("name" = String, Path), ("version" = Option<i32>, Query, description = "Default 1"),
        ("startTime" = Option<i64>, Query, description = "Started at or after, ms"), ("endTime" = Option<i64>, Query, description = "Started before, ms")),
    responses((status = 200, body = Vec<String>)))]
pub(super) async fn running(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
    params: Params,
) -> Result<Json<Vec<WorkflowId>>, ApiError> {
    let filter = WorkflowFilter {
        name: Some(name),
        version: Some(params.value("version")?.unwrap_or(1)),
        statuses: vec![WorkflowStatus::Running],
        started_from: params.value("startTime")?.map(Timestamp),
        started_before: params.value("endTime")?.map(Timestamp),
        ..WorkflowFilter::default()
    };
    let page = Page { before: None, offset: 0, limit: OFFSET_MAX };
    let found = state.app.read(move |store| store.workflows(&caller.tenant, &filter, page)).await?;
    Ok(Json(found.into_iter().map(|workflow| workflow.id).collect()))
}
