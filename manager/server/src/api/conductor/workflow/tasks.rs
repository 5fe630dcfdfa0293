//! The tasks of one workflow, in stretches.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use conductor_model::TaskStatus;

use super::super::load;
use super::super::searching::SearchResult;
use crate::api::ApiError;
use crate::api::extract::{Params, workflow_id};
use crate::api::limits::{OFFSET_MAX, PAGE_ROWS_MAX};
use crate::api::state::ApiState;
use crate::app::Caller;

/// The tasks of one workflow, in the order of their scheduling.
#[utoipa::path(get, path = "/api/workflow/{id}/tasks", tag = "workflows",
    params(("id" = String, Path), ("start" = Option<u32>, Query), ("count" = Option<u32>, Query, description = "Default 15"),
        ("status" = Option<Vec<String>>, Query, description = "Only these; may be given several times")),
    responses((status = 200, body = crate::api::shapes::Found<crate::api::shapes::Task>, description = "{totalHits, results}"), (status = 404, description = "There is none")))]
pub(super) async fn tasks(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, ApiError> {
    let start = params.number("start", 0, OFFSET_MAX)?;
    let count = params.number("count", 15, PAGE_ROWS_MAX)?;
    let statuses = statuses(&params)?;
    let workflow = load::workflow(&state, &caller.tenant, workflow_id(&id)?).await?;
    let mut tasks = load::tasks(&state, &caller.tenant, workflow.id).await?;
    tasks.retain(|task| statuses.is_empty() || statuses.contains(&task.status));
    let total = tasks.len() as u64;
    let shown: Vec<_> = tasks.into_iter().skip(start).take(count).collect();
    let results = load::tasks_json(&state, &caller.tenant, &shown).await?;
    Ok(Json(SearchResult { total_hits: total, results }).into_response())
}

fn statuses(params: &Params) -> Result<Vec<TaskStatus>, ApiError> {
    params
        .all("status")
        .flat_map(|list| list.split(','))
        .map(|text| text.trim().parse().map_err(|error| ApiError::bad_request("query-invalid", format!("status: {error}"))))
        .collect()
}
