//! Searching tasks.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use conductor_model::{TaskRecord, TenantName};
use conductor_store::search::{Found, TaskField};

use super::super::load;
use super::super::searching::{self, SearchResult};
use crate::api::ApiError;
use crate::api::extract::Params;
use crate::api::state::ApiState;
use crate::app::Caller;

/// Searches tasks; the rows are summaries, newest first.
///
/// `query` is as in `/api/workflow/search`, over taskId, workflowId, workflowType, correlationId, taskType, taskDefName,
/// referenceTaskName, status, scheduledTime, startTime, updateTime, endTime, workerId, domain, workflowPriority and
/// reasonForIncompletion. Matches are counted exactly up to 10000.
#[utoipa::path(get, path = "/api/tasks/search", tag = "tasks",
    params(("start" = Option<u32>, Query), ("size" = Option<u32>, Query, description = "Default 100, at most 5000"),
        ("sort" = Option<String>, Query, description = "field:ASC or field:DESC, several joined by |"),
        ("freeText" = Option<String>, Query, description = "Words and \"phrases\" that must all be there; * = any"),
        ("query" = Option<String>, Query, description = "As above")),
    responses((status = 200, body = crate::api::shapes::Found<crate::api::shapes::TaskSummary>, description = "{totalHits, results: [TaskSummary]}"),
        (status = 400, description = "The query cannot be read; the message says where and what was expected")))]
pub(super) async fn search(State(state): State<ApiState>, caller: Caller, params: Params) -> Result<Response, ApiError> {
    let found = find(&state, &caller.tenant, &params).await?;
    let results = load::task_summaries(&state, &caller.tenant, &found.rows).await?;
    Ok(Json(SearchResult { total_hits: found.total, results }).into_response())
}

/// Searches tasks; the rows are whole tasks. Parameters as in `/api/tasks/search`.
#[utoipa::path(get, path = "/api/tasks/search-v2", tag = "tasks",
    params(("start" = Option<u32>, Query), ("size" = Option<u32>, Query), ("sort" = Option<String>, Query),
        ("freeText" = Option<String>, Query), ("query" = Option<String>, Query)),
    responses((status = 200, body = crate::api::shapes::Found<crate::api::shapes::Task>, description = "{totalHits, results: [Task]}"),
        (status = 400, description = "The query cannot be read")))]
pub(super) async fn search_v2(State(state): State<ApiState>, caller: Caller, params: Params) -> Result<Response, ApiError> {
    let found = find(&state, &caller.tenant, &params).await?;
    let results = load::tasks_json(&state, &caller.tenant, &found.rows).await?;
    Ok(Json(SearchResult { total_hits: found.total, results }).into_response())
}

async fn find(state: &ApiState, tenant: &TenantName, params: &Params) -> Result<Found<TaskRecord>, ApiError> {
    let search = searching::search::<TaskField>(params)?;
    let tenant = tenant.clone();
    Ok(state.app.read(move |store| store.search_tasks(&tenant, &search)).await?)
}
