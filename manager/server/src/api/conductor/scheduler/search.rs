//! Searching schedules, and what came of them.

use axum::Json;
use axum::extract::State;
use conductor_model::{Schedule, ScheduleRun};
use conductor_store::SCHEDULE_RUNS_KEPT;
use serde::Serialize;

use super::super::searching::SearchResult;
use crate::api::ApiError;
use crate::api::extract::Params;
use crate::api::limits::{OFFSET_MAX, PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX};
use crate::api::state::ApiState;
use crate::app::Caller;

/// Runs that one search looks through at most, newest first.
const RUNS_SEARCHED_MAX: usize = 10 * SCHEDULE_RUNS_KEPT;

/// Searches schedules.
#[utoipa::path(get, path = "/api/scheduler/schedules/search", tag = "scheduler",
    params(("workflowName" = Option<String>, Query), ("scheduleName" = Option<String>, Query), ("paused" = Option<bool>, Query),
        ("freeText" = Option<String>, Query, description = "In the name, the workflow's name or the description; * = any"),
        ("start" = Option<u32>, Query), ("size" = Option<u32>, Query, description = "Default 100"),
        ("sort" = Option<String>, Query, description = "name:ASC (default) or name:DESC")),
    responses((status = 200, body = crate::api::shapes::Found<crate::api::shapes::WorkflowSchedule>, description = "{totalHits, results: [WorkflowSchedule]}"),
        (status = 400, description = "Invalid")))]
pub(super) async fn schedules(
    State(state): State<ApiState>,
    caller: Caller,
    params: Params,
) -> Result<Json<SearchResult<Schedule>>, ApiError> {
    let paused = params.is_given("paused").then(|| params.flag("paused", true)).transpose()?;
    let free_text = free_text(&params);
    let name = params.text("scheduleName").or_else(|| params.text("name"));
    let wanted = |schedule: &Schedule| {
        let start = &schedule.start_workflow_request;
        params.text("workflowName").is_none_or(|wanted| start.name == wanted)
            && name.is_none_or(|wanted| schedule.name == wanted)
            && paused.is_none_or(|paused| schedule.paused == paused)
            && free_text.as_deref().is_none_or(|text| {
                let description = schedule.description.as_deref().unwrap_or("");
                [schedule.name.as_str(), start.name.as_str(), description]
                    .iter()
                    .any(|field| field.to_lowercase().contains(text))
            })
    };
    let mut found: Vec<_> = state.app.schedules(&caller.tenant).await?.into_iter().filter(wanted).collect();
    if params.text("sort").is_some_and(|sort| sort.to_uppercase().ends_with(":DESC")) {
        found.reverse();
    }
    page(found, &params).map(Json)
}

/// Searches what came of due moments, newest first.
#[utoipa::path(get, path = "/api/scheduler/search/executions", tag = "scheduler",
    params(("start" = Option<u32>, Query), ("size" = Option<u32>, Query, description = "Default 100"),
        ("freeText" = Option<String>, Query, description = "In the schedule's, workflow's or execution's name or id; * = any"),
        ("query" = Option<String>, Query, description = "field=value joined by AND, over scheduleName, workflowName, workflowId, \
            executionId, state"),
        ("sort" = Option<String>, Query, description = "startTime:ASC or startTime:DESC (default)")),
    responses((status = 200, body = crate::api::shapes::Found<crate::api::shapes::ScheduleRun>, description = "{totalHits, results: [{executionId, scheduleName, scheduledTime, \
        executionTime, workflowName, workflowId, reason, state, zoneId}]}; of each schedule the last 1000 are kept"),
        (status = 400, description = "Invalid")))]
pub(super) async fn executions(
    State(state): State<ApiState>,
    caller: Caller,
    params: Params,
) -> Result<Json<SearchResult<ScheduleRun>>, ApiError> {
    let clauses = params.text("query").map(clauses).transpose()?.unwrap_or_default();
    let free_text = free_text(&params);
    let schedule = clauses.iter().find(|(field, _)| *field == Field::ScheduleName).map(|(_, value)| value.clone());
    let tenant = caller.tenant.clone();
    let runs = state.app.read(move |store| store.schedule_runs(&tenant, schedule.as_deref(), RUNS_SEARCHED_MAX)).await?;
    let wanted = |run: &ScheduleRun| {
        clauses.iter().all(|(field, value)| field.of(run) == *value)
            && free_text
                .as_deref()
                .is_none_or(|text| Field::ALL.iter().any(|field| field.of(run).to_lowercase().contains(text)))
    };
    let mut found: Vec<_> = runs.into_iter().filter(wanted).collect();
    if params.text("sort").is_some_and(|sort| sort.to_uppercase().ends_with(":ASC")) {
        found.reverse();
    }
    page(found, &params).map(Json)
}

/// What a clause can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    ScheduleName,
    WorkflowName,
    WorkflowId,
    ExecutionId,
    State,
}

impl Field {
    const ALL: [Self; 5] = [Self::ScheduleName, Self::WorkflowName, Self::WorkflowId, Self::ExecutionId, Self::State];

    fn name(self) -> &'static str {
        match self {
            Self::ScheduleName => "scheduleName",
            Self::WorkflowName => "workflowName",
            Self::WorkflowId => "workflowId",
            Self::ExecutionId => "executionId",
            Self::State => "state",
        }
    }

    fn of(self, run: &ScheduleRun) -> String {
        match self {
            Self::ScheduleName => run.schedule_name.clone(),
            Self::WorkflowName => run.workflow_name.clone(),
            Self::WorkflowId => run.workflow_id.clone().unwrap_or_default(),
            Self::ExecutionId => run.execution_id.clone(),
            Self::State => match run.state {
                conductor_model::ScheduleRunState::Executed => "EXECUTED".to_owned(),
                conductor_model::ScheduleRunState::Failed => "FAILED".to_owned(),
            },
        }
    }
}

fn clauses(query: &str) -> Result<Vec<(Field, String)>, ApiError> {
    let clause = |clause: &str| {
        let fault = || {
            let known: Vec<_> = Field::ALL.iter().map(|field| field.name()).collect();
            let message = format!("query: {clause:?} is not field=value with one of {}", known.join(", "));
            ApiError::bad_request("query-invalid", message)
        };
        let (field, value) = clause.split_once('=').ok_or_else(fault)?;
        let field = Field::ALL.into_iter().find(|known| known.name() == field.trim()).ok_or_else(fault)?;
        Ok((field, value.trim().trim_matches(['\'', '"']).to_owned()))
    };
    query.split(" AND ").map(str::trim).filter(|text| !text.is_empty() && *text != "*").map(clause).collect()
}

fn free_text(params: &Params) -> Option<String> {
    params.text("freeText").filter(|text| *text != "*").map(str::to_lowercase)
}

fn page<T: Serialize>(found: Vec<T>, params: &Params) -> Result<SearchResult<T>, ApiError> {
    let start = params.number("start", 0, OFFSET_MAX)?;
    let size = params.number("size", PAGE_ROWS_DEFAULT, PAGE_ROWS_MAX)?;
    let total_hits = found.len() as u64;
    Ok(SearchResult { total_hits, results: found.into_iter().skip(start).take(size).collect() })
}
