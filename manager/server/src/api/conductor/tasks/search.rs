//! Searching tasks.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use conductor_model::{TaskRecord, TenantName};
use conductor_store::{Page, TaskFilter};

use super::super::load;
use super::super::summary::TaskSummary;
use super::super::workflow::{Clause, Operator, SearchResult, parse_query};
use crate::api::ApiError;
use crate::api::extract::Params;
use crate::api::limits::{OFFSET_MAX, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};
use crate::api::state::ApiState;
use crate::app::Caller;

/// Searches tasks, newest first; the rows are summaries. `totalHits` counts to the end of the page, and one more when there
/// may be more.
#[utoipa::path(get, path = "/api/tasks/search", tag = "tasks",
    params(("start" = Option<u32>, Query), ("size" = Option<u32>, Query, description = "Default 100"),
        ("query" = Option<String>, Query, description = "Clauses joined by AND over workflowId, taskDefName (or taskType) and status")),
    responses((status = 200, body = Object, description = "{totalHits, results: [TaskSummary]}")))]
pub(super) async fn search(State(state): State<ApiState>, caller: Caller, params: Params) -> Result<Response, ApiError> {
    let (total_hits, found) = find(&state, &caller.tenant, &params).await?;
    let results: Vec<_> = found.iter().map(TaskSummary::new).collect();
    Ok(Json(SearchResult { total_hits, results }).into_response())
}

/// Searches tasks; the rows are whole tasks. Parameters as in `/api/tasks/search`.
#[utoipa::path(get, path = "/api/tasks/search-v2", tag = "tasks",
    params(("start" = Option<u32>, Query), ("size" = Option<u32>, Query), ("query" = Option<String>, Query)),
    responses((status = 200, body = Object, description = "{totalHits, results: [Task]}")))]
pub(super) async fn search_v2(State(state): State<ApiState>, caller: Caller, params: Params) -> Result<Response, ApiError> {
    let (total_hits, found) = find(&state, &caller.tenant, &params).await?;
    let results = load::tasks_json(&state, &caller.tenant, &found).await?;
    Ok(Json(SearchResult { total_hits, results }).into_response())
}

async fn find(state: &ApiState, tenant: &TenantName, params: &Params) -> Result<(u64, Vec<TaskRecord>), ApiError> {
    let start = params.number("start", 0, OFFSET_MAX)?;
    let size = params.number("size", PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX)?;
    let mut filter = TaskFilter::default();
    for clause in parse_query(params.text("query").unwrap_or_default())? {
        add(&mut filter, &clause)?;
    }
    let tenant = tenant.clone();
    let page = Page { before: None, offset: start as u64, limit: size + 1 };
    let mut found = state.app.read(move |store| store.tasks(&tenant, &filter, page)).await?;
    let total = (start + found.len()) as u64;
    found.truncate(size);
    Ok((total, found))
}

fn add(filter: &mut TaskFilter, clause: &Clause) -> Result<(), ApiError> {
    let value = clause.values.first().map(String::as_str).unwrap_or_default();
    match (clause.field.as_str(), clause.operator, clause.values.len()) {
        ("workflowId", Operator::Is, 1) => {
            let id = value.parse().map_err(|_| {
                ApiError::bad_request("query-invalid", format!("query: workflowId is {value:?}, which is not a UUID"))
            })?;
            filter.workflow = Some(id);
        }
        ("taskDefName" | "taskType", Operator::Is, 1) => filter.definition_name = Some(value.to_owned()),
        ("status", Operator::Is, _) => {
            let parsed: Result<Vec<_>, _> = clause.values.iter().map(|text| text.parse()).collect();
            filter.statuses =
                parsed.map_err(|error| ApiError::bad_request("query-invalid", format!("query, status: {error}")))?;
        }
        (field, ..) => {
            return Err(ApiError::bad_request("query-unsupported", format!("query: {field} cannot be searched like this"))
                .hint("search by workflowId and taskDefName (=) and status (= or IN)"));
        }
    }
    Ok(())
}
