//! Searching workflows.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use conductor_model::{TenantName, WorkflowRecord};
use conductor_store::search::{Condition, Expr, Found, Test, WorkflowField};

use super::super::load;
use super::super::searching::{self, SearchResult};
use super::super::summary::WorkflowSummary;
use crate::api::ApiError;
use crate::api::extract::Params;
use crate::api::state::ApiState;
use crate::app::Caller;

/// Searches workflows; the rows are summaries, newest first.
///
/// `query` compares fields (workflowId, workflowType, version, status, correlationId, startTime, updateTime, endTime,
/// executionTime, parentWorkflowId, idempotencyKey, priority, createdBy, reasonForIncompletion) with =, !=, <, >, <=, >=, IN,
/// NOT IN, BETWEEN, STARTS_WITH and IS NULL, joined by AND, OR, NOT and groups; a value that ends in * is a prefix. Words and
/// phrases without a field are looked for in the whole text. Matches are counted exactly up to 10000, up to 100000 where an
/// index alone answers.
#[utoipa::path(get, path = "/api/workflow/search", tag = "workflows",
    params(("start" = Option<u32>, Query), ("size" = Option<u32>, Query, description = "Default 100, at most 5000"),
        ("sort" = Option<String>, Query, description = "field:ASC or field:DESC, several joined by |; startTime:DESC where none is given"),
        ("freeText" = Option<String>, Query, description = "Words and \"phrases\" that must all be there; * = any"),
        ("query" = Option<String>, Query, description = "As above"),
        ("topLevelOnly" = Option<bool>, Query, description = "Leave out workflows that another one started")),
    responses((status = 200, body = crate::api::shapes::Found<crate::api::shapes::WorkflowSummary>, description = "{totalHits, results: [WorkflowSummary]}"),
        (status = 400, description = "The query cannot be read; the message says where and what was expected")))]
pub(super) async fn search(State(state): State<ApiState>, caller: Caller, params: Params) -> Result<Response, ApiError> {
    let found = find(&state, &caller.tenant, &params).await?;
    let results: Vec<_> = found.rows.iter().map(WorkflowSummary::new).collect();
    Ok(Json(SearchResult { total_hits: found.total, results }).into_response())
}

/// Searches workflows; the rows are whole workflows without their tasks. Parameters as in `/api/workflow/search`.
#[utoipa::path(get, path = "/api/workflow/search-v2", tag = "workflows",
    params(("start" = Option<u32>, Query), ("size" = Option<u32>, Query), ("sort" = Option<String>, Query),
        ("freeText" = Option<String>, Query), ("query" = Option<String>, Query), ("topLevelOnly" = Option<bool>, Query)),
    responses((status = 200, body = crate::api::shapes::Found<crate::api::shapes::Workflow>, description = "{totalHits, results: [Workflow]}"),
        (status = 400, description = "The query cannot be read")))]
pub(super) async fn search_v2(State(state): State<ApiState>, caller: Caller, params: Params) -> Result<Response, ApiError> {
    let found = find(&state, &caller.tenant, &params).await?;
    let results = load::workflows_json(&state, &found.rows).await?;
    Ok(Json(SearchResult { total_hits: found.total, results }).into_response())
}

async fn find(state: &ApiState, tenant: &TenantName, params: &Params) -> Result<Found<WorkflowRecord>, ApiError> {
    let mut search = searching::search::<WorkflowField>(params)?;
    if params.flag("topLevelOnly", false)? {
        let top = Condition { field: WorkflowField::ParentWorkflowId, test: Test::Missing };
        search.matching = search.matching.and(Expr::Field(top));
    }
    let tenant = tenant.clone();
    Ok(state.app.read(move |store| store.search_workflows(&tenant, &search)).await?)
}
