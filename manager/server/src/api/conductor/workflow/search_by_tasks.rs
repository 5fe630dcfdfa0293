//! Searching workflows by what their tasks are.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use conductor_model::{TenantName, WorkflowRecord};
use conductor_store::search::{COUNT_LOOKED_AT_MAX, Found, TaskField};

use super::super::load;
use super::super::searching::{self, SearchResult};
use super::super::summary::WorkflowSummary;
use crate::api::ApiError;
use crate::api::extract::Params;
use crate::api::state::ApiState;
use crate::app::Caller;

/// Searches workflows that have a task which matches; those of the newest tasks come first. The newest 10000 tasks that match
/// are looked at. `query` and `freeText` are as in `/api/tasks/search`.
#[utoipa::path(get, path = "/api/workflow/search-by-tasks", tag = "workflows",
    params(("start" = Option<u32>, Query), ("size" = Option<u32>, Query), ("freeText" = Option<String>, Query),
        ("query" = Option<String>, Query)),
    responses((status = 200, body = crate::api::shapes::Found<crate::api::shapes::WorkflowSummary>, description = "{totalHits, results: [WorkflowSummary]}"),
        (status = 400, description = "The query cannot be read")))]
pub(super) async fn search_by_tasks(
    State(state): State<ApiState>,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let found = find(&state, &caller.tenant, &params).await?;
    let results: Vec<_> = found.rows.iter().map(WorkflowSummary::new).collect();
    Ok(Json(SearchResult { total_hits: found.total, results }).into_response())
}

/// As `/api/workflow/search-by-tasks`; the rows are whole workflows without their tasks.
#[utoipa::path(get, path = "/api/workflow/search-by-tasks-v2", tag = "workflows",
    params(("start" = Option<u32>, Query), ("size" = Option<u32>, Query), ("freeText" = Option<String>, Query),
        ("query" = Option<String>, Query)),
    responses((status = 200, body = crate::api::shapes::Found<crate::api::shapes::Workflow>, description = "{totalHits, results: [Workflow]}"),
        (status = 400, description = "The query cannot be read")))]
pub(super) async fn search_by_tasks_v2(
    State(state): State<ApiState>,
    caller: Caller,
    params: Params,
) -> Result<Response, ApiError> {
    let found = find(&state, &caller.tenant, &params).await?;
    let results = load::workflows_json(&state, &found.rows).await?;
    Ok(Json(SearchResult { total_hits: found.total, results }).into_response())
}

async fn find(state: &ApiState, tenant: &TenantName, params: &Params) -> Result<Found<WorkflowRecord>, ApiError> {
    let search = searching::search::<TaskField>(params)?;
    if !search.order.is_empty() && params.text("sort") != Some("startTime:DESC") {
        return Err(ApiError::bad_request(
            "sort-unsupported",
            "sort: workflows that are searched by their tasks have one order",
        )
        .hint("leave it out: those of the newest tasks come first"));
    }
    let tenant = tenant.clone();
    let read = state.app.read(move |store| {
        let ids = store.workflows_of_tasks(&tenant, &search.matching, COUNT_LOOKED_AT_MAX)?;
        let total = ids.len() as u64;
        let skip = usize::try_from(search.offset).unwrap_or(usize::MAX);
        let shown = ids.into_iter().skip(skip).take(search.limit);
        let rows = shown.filter_map(|id| store.workflow(&tenant, id).transpose()).collect::<Result<_, _>>()?;
        Ok(Found { total, rows })
    });
    Ok(read.await?)
}
