//! Searching workflows.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use conductor_model::{TenantName, Timestamp, WorkflowId, WorkflowRecord};
use conductor_store::{Page, Store, StoreError, WorkflowFilter};
use serde::Serialize;

use super::super::load;
use super::super::summary::WorkflowSummary;
use super::{Clause, Operator, parse_query};
use crate::api::ApiError;
use crate::api::extract::Params;
use crate::api::limits::{COUNT_MAX, OFFSET_MAX, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};
use crate::api::state::ApiState;
use crate::app::Caller;

/// Conductor's SearchResult.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api::conductor) struct SearchResult<T> {
    pub(in crate::api::conductor) total_hits: u64,
    pub(in crate::api::conductor) results: Vec<T>,
}

/// Searches workflows; the rows are summaries.
#[utoipa::path(get, path = "/api/workflow/search", tag = "workflows",
    params(("start" = Option<u32>, Query), ("size" = Option<u32>, Query, description = "Default 100"),
        ("sort" = Option<String>, Query, description = "startTime:ASC or startTime:DESC (default)"),
        ("freeText" = Option<String>, Query, description = "* or a workflow id, correlation id or name"),
        ("query" = Option<String>, Query, description = "Clauses joined by AND over workflowType, status, correlationId, workflowId, version, startTime")),
    responses((status = 200, body = Object, description = "{totalHits, results: [WorkflowSummary]}")))]
pub(super) async fn search(State(state): State<ApiState>, caller: Caller, params: Params) -> Result<Response, ApiError> {
    let (total_hits, found) = find(&state, &caller.tenant, &params).await?;
    let results: Vec<_> = found.iter().map(WorkflowSummary::new).collect();
    Ok(Json(SearchResult { total_hits, results }).into_response())
}

/// Searches workflows; the rows are whole workflows without their tasks. Parameters as in `/api/workflow/search`.
#[utoipa::path(get, path = "/api/workflow/search-v2", tag = "workflows",
    params(("start" = Option<u32>, Query), ("size" = Option<u32>, Query), ("sort" = Option<String>, Query),
        ("freeText" = Option<String>, Query), ("query" = Option<String>, Query)),
    responses((status = 200, body = Object, description = "{totalHits, results: [Workflow]}")))]
pub(super) async fn search_v2(State(state): State<ApiState>, caller: Caller, params: Params) -> Result<Response, ApiError> {
    let (total_hits, found) = find(&state, &caller.tenant, &params).await?;
    let mut results = Vec::with_capacity(found.len());
    for workflow in &found {
        results.push(load::workflow_json(&state, workflow, false).await?);
    }
    Ok(Json(SearchResult { total_hits, results }).into_response())
}

async fn find(state: &ApiState, tenant: &TenantName, params: &Params) -> Result<(u64, Vec<WorkflowRecord>), ApiError> {
    let wanted = Wanted::from_params(params)?;
    let tenant = tenant.clone();
    Ok(state.app.read(move |store| wanted.find(store, &tenant)).await?)
}

/// A search, understood.
#[derive(Debug, Default)]
struct Wanted {
    start: usize,
    size: usize,
    oldest_first: bool,
    /// Any of these ids; `None` = any.
    ids: Option<Vec<WorkflowId>>,
    /// Any of these names; `None` = any.
    names: Option<Vec<String>>,
    filter: WorkflowFilter,
    free_text: Option<String>,
}

impl Wanted {
    fn from_params(params: &Params) -> Result<Self, ApiError> {
        let mut wanted = Self {
            start: params.number("start", 0, OFFSET_MAX)?,
            size: params.number("size", PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX)?,
            oldest_first: oldest_first(params.text("sort"))?,
            free_text: params.text("freeText").filter(|text| *text != "*").map(str::to_owned),
            ..Self::default()
        };
        for clause in parse_query(params.text("query").unwrap_or_default())? {
            wanted.add(&clause)?;
        }
        Ok(wanted)
    }

    fn add(&mut self, clause: &Clause) -> Result<(), ApiError> {
        let one = || clause.values.first().cloned().unwrap_or_default();
        match (clause.field.as_str(), clause.operator) {
            ("workflowType" | "workflowName", Operator::Is) => self.names = Some(clause.values.clone()),
            ("workflowId", Operator::Is) => {
                self.ids = Some(clause.values.iter().filter_map(|text| text.parse().ok()).collect());
            }
            ("status", Operator::Is) => {
                let parsed: Result<Vec<_>, _> = clause.values.iter().map(|text| text.parse()).collect();
                self.filter.statuses =
                    parsed.map_err(|error| ApiError::bad_request("query-invalid", format!("query, status: {error}")))?;
            }
            ("correlationId", Operator::Is) if clause.values.len() == 1 => self.filter.correlation_id = Some(one()),
            ("version", Operator::Is) if clause.values.len() == 1 => self.filter.version = Some(number(clause, &one())?),
            ("startTime", Operator::From) => self.filter.started_from = Some(Timestamp(number(clause, &one())?)),
            ("startTime", Operator::Before) => self.filter.started_before = Some(Timestamp(number(clause, &one())?)),
            (field, _) => {
                return Err(ApiError::bad_request("query-unsupported", format!("query: {field} cannot be searched like this"))
                    .hint(
                        "search by workflowType, workflowId and status (= or IN), correlationId and version (=), startTime (< or >)",
                    ));
            }
        }
        Ok(())
    }

    /// One filter for each way in which a workflow may match; a workflow matches at most one of them.
    fn filters(&self) -> Vec<WorkflowFilter> {
        let named = |name: &String| WorkflowFilter { name: Some(name.clone()), ..self.filter.clone() };
        match (&self.names, &self.free_text) {
            (None, None) => vec![self.filter.clone()],
            (Some(names), _) => {
                let mut names = names.clone();
                names.sort_unstable();
                names.dedup();
                names.iter().map(named).collect()
            }
            (None, Some(text)) => {
                vec![named(text), WorkflowFilter { correlation_id: Some(text.clone()), ..self.filter.clone() }]
            }
        }
    }

    fn find(&self, store: &dyn Store, tenant: &TenantName) -> Result<(u64, Vec<WorkflowRecord>), StoreError> {
        if let Some(ids) = self.wanted_ids() {
            return self.find_by_id(store, tenant, &ids);
        }
        let filters = self.filters();
        let mut total = 0;
        for filter in &filters {
            total += store.count_workflows(tenant, filter, COUNT_MAX)?;
        }
        let (skip, take) = self.stretch(total);
        let mut found = Vec::new();
        for filter in &filters {
            found.extend(store.workflows(tenant, filter, Page { before: None, offset: 0, limit: skip + take })?);
        }
        if filters.len() > 1 {
            found.sort_unstable_by_key(|workflow| std::cmp::Reverse(workflow.id));
            found.dedup_by_key(|workflow| workflow.id);
        }
        let mut shown: Vec<_> = found.into_iter().skip(skip).take(take).collect();
        if self.oldest_first {
            shown.reverse();
        }
        Ok((total, shown))
    }

    /// Which rows of the list, newest first, are shown: how many to skip and how many to take.
    fn stretch(&self, total: u64) -> (usize, usize) {
        if !self.oldest_first {
            return (self.start, self.size);
        }
        let left = usize::try_from(total).unwrap_or(usize::MAX).saturating_sub(self.start);
        let take = left.min(self.size);
        (left - take, take)
    }

    fn wanted_ids(&self) -> Option<Vec<WorkflowId>> {
        let by_text = || self.free_text.as_deref().and_then(|text| text.parse().ok()).map(|id| vec![id]);
        self.ids.clone().or_else(by_text)
    }

    fn find_by_id(
        &self,
        store: &dyn Store,
        tenant: &TenantName,
        ids: &[WorkflowId],
    ) -> Result<(u64, Vec<WorkflowRecord>), StoreError> {
        let mut found = Vec::new();
        for id in ids {
            found.extend(store.workflow(tenant, *id)?.filter(|workflow| self.matches(workflow)));
        }
        let total = found.len() as u64;
        Ok((total, found.into_iter().skip(self.start).take(self.size).collect()))
    }

    fn matches(&self, workflow: &WorkflowRecord) -> bool {
        let filter = &self.filter;
        self.names.as_ref().is_none_or(|names| names.contains(&workflow.name))
            && (filter.statuses.is_empty() || filter.statuses.contains(&workflow.status))
            && filter.correlation_id.as_ref().is_none_or(|wanted| workflow.correlation_id.as_ref() == Some(wanted))
            && filter.version.is_none_or(|version| version == workflow.version)
            && filter.started_from.is_none_or(|from| workflow.created_at >= from)
            && filter.started_before.is_none_or(|before| workflow.created_at < before)
    }
}

fn number<T: std::str::FromStr>(clause: &Clause, text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|_| {
        ApiError::bad_request("query-invalid", format!("query: {} is {text:?}; a whole number is expected", clause.field))
    })
}

/// `field:ASC|DESC`. Ids grow with the time of the start, so that both mean the same order.
fn oldest_first(sort: Option<&str>) -> Result<bool, ApiError> {
    let Some(sort) = sort else { return Ok(false) };
    let (field, order) = sort.split_once(':').unwrap_or((sort, "ASC"));
    match (field, order.to_ascii_uppercase().as_str()) {
        ("startTime" | "createTime" | "workflowId", "ASC") => Ok(true),
        ("startTime" | "createTime" | "workflowId", "DESC") => Ok(false),
        _ => Err(ApiError::bad_request("sort-unsupported", format!("sort is {sort:?}, which is not supported"))
            .hint("sort by startTime:ASC or startTime:DESC")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(query: &str) -> Result<Wanted, ApiError> {
        let mut wanted = Wanted::default();
        for clause in parse_query(query)? {
            wanted.add(&clause)?;
        }
        Ok(wanted)
    }

    #[test]
    fn clauses_become_a_filter() {
        let found = wanted("workflowType IN (a,b) AND status=RUNNING AND startTime>10 AND version=2").unwrap();
        assert_eq!(found.filters().len(), 2);
        assert_eq!(found.filter.version, Some(2));
        assert_eq!(found.filter.started_from, Some(Timestamp(10)));
    }

    #[test]
    fn what_cannot_be_searched_is_said_and_not_ignored() {
        assert!(wanted("status=SLEEPING").unwrap_err().message.contains("RUNNING"));
        assert_eq!(wanted("endTime>5").unwrap_err().code, "query-unsupported");
        assert!(wanted("startTime>yesterday").unwrap_err().message.contains("startTime"));
        assert!(oldest_first(Some("status:ASC")).is_err());
    }

    #[test]
    fn oldest_first_counts_from_the_end() {
        let wanted = |start| Wanted { start, size: 10, oldest_first: true, ..Wanted::default() };
        assert_eq!(wanted(0).stretch(25), (15, 10));
        assert_eq!(wanted(20).stretch(25), (0, 5));
        assert_eq!(wanted(30).stretch(25), (0, 0));
    }
}
