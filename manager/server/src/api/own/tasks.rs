//! `/api/v1/tasks/{id}/…`, and the domain that a task would get.

use axum::Json;
use axum::extract::{Path, State};
use conductor_model::{AgentId, LogLine, TaskId, TaskStatus};
use conductor_placement::Unplaced;
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::ApiError;
use crate::api::extract::{Params, task_id};
use crate::api::limits::{LOG_LINES_DEFAULT, LOG_LINES_MAX};
use crate::api::state::ApiState;
use crate::app::Caller;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(logs)).routes(routes!(placement)).routes(routes!(domain))
}

/// A stretch of a log.
#[derive(Debug, Serialize)]
struct Logs {
    items: Vec<LogLine>,
    metadata: LogsMetadata,
}

#[derive(Debug, Serialize)]
struct LogsMetadata {
    /// Pass it as `after` to read on.
    next_after: u64,
    /// Whether the task is over: then nothing is added but what is still on its way.
    task_status: TaskStatus,
}

/// A task's log lines, oldest first.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/logs", tag = "tasks",
    params(("id" = String, Path), ("after" = Option<u64>, Query, description = "Only lines behind this number; default 0"),
        ("limit" = Option<u32>, Query, description = "Default 1000, at most 10000")),
    responses((status = 200, body = crate::api::shapes::LogLines, description = "{items: [{task_id, seq, at, stream, text}], metadata: {next_after, task_status}}"),
        (status = 404, description = "There is no such task")))]
async fn logs(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<Logs>, ApiError> {
    let id = task_id(&id)?;
    let after = params.value("after")?.unwrap_or(0);
    let limit = params.number("limit", LOG_LINES_DEFAULT, LOG_LINES_MAX)?;
    let tenant = caller.tenant;
    // The status first: of a task that is over, all lines are there to be read.
    let found = state.app.read(move |store| Ok((store.task(&tenant, id)?, store.logs(&tenant, id, after, limit)?))).await?;
    let (Some(task), items) = found else { return Err(ApiError::not_found("task", id)) };
    let next_after = items.last().map_or(after, |line| line.seq);
    Ok(Json(Logs { items, metadata: LogsMetadata { next_after, task_status: task.status } }))
}

/// Where a task runs, or why it has no agent yet.
#[derive(Debug, Serialize)]
struct Placement {
    task_id: TaskId,
    status: TaskStatus,
    /// The agent that it was given to.
    agent: Option<AgentId>,
    /// Runners-up.
    alternates: Vec<AgentId>,
    /// How often it was given to an agent.
    dispatch: u32,
    /// Why it has no agent; absent when it has one or needs none.
    #[serde(skip_serializing_if = "Option::is_none")]
    unplaced: Option<Unplaced>,
}

/// Where a task runs, or why it has no agent yet.
#[utoipa::path(get, path = "/api/v1/tasks/{id}/placement", tag = "tasks", params(("id" = String, Path)),
    responses((status = 200, body = crate::api::shapes::Placement, description = "{task_id, status, agent, alternates, dispatch, unplaced: {summary, …}}"),
        (status = 404, description = "There is no such task")))]
async fn placement(State(state): State<ApiState>, caller: Caller, Path(id): Path<String>) -> Result<Json<Placement>, ApiError> {
    let id = task_id(&id)?;
    let unplaced = state.app.explain_placement(&caller.tenant, id).await?;
    let found = state.app.read(move |store| store.task(&caller.tenant, id)).await?;
    let task = found.ok_or_else(|| ApiError::not_found("task", id))?;
    let part = task.agent.map(|part| *part);
    Ok(Json(Placement {
        task_id: id,
        status: task.status,
        agent: part.as_ref().and_then(|part| part.assigned.clone()),
        dispatch: part.as_ref().map_or(0, |part| part.dispatch),
        alternates: part.map(|part| part.alternates).unwrap_or_default(),
        unplaced,
    }))
}

/// Whose workers a task would be for.
#[derive(Debug, Serialize)]
struct Domain {
    task_type: String,
    /// Absent = those that poll without a domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
}

/// The domain that a task of a type would get if it were scheduled now: of those listed, the first that workers poll, else the
/// last.
#[utoipa::path(get, path = "/api/v1/domain", tag = "tasks",
    params(("taskType" = String, Query, description = "Name of the task definition"),
        ("domains" = String, Query, description = "As in `taskToDomain`: separated by commas, `NO_DOMAIN` for workers without one")),
    responses((status = 200, body = crate::api::shapes::Domain, description = "{task_type, domain}; no domain = workers without one"),
        (status = 400, description = "A parameter is missing")))]
async fn domain(State(state): State<ApiState>, caller: Caller, params: Params) -> Result<Json<Domain>, ApiError> {
    let needed = |name: &str| {
        let missing = || ApiError::bad_request("query-invalid", format!("query parameter {name} is missing"));
        params.text(name).map(str::to_owned).ok_or_else(missing)
    };
    let (task_type, listed) = (needed("taskType")?, needed("domains")?);
    let domain = state.app.domain_of(&caller.tenant, &task_type, &listed).await?;
    Ok(Json(Domain { task_type, domain }))
}
