//! `/api/admin`: what operators of other Conductor servers look for.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use conductor_model::TaskStatus;
use conductor_store::{Page, TaskFilter};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{load, plain};
use crate::api::ApiError;
use crate::api::extract::{Params, workflow_id};
use crate::api::state::ApiState;
use crate::app::Caller;

/// Tasks in one answer at most.
const TASKS_MAX: usize = 1000;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(config))
        .routes(routes!(tasks))
        .routes(routes!(queues))
        .routes(routes!(sweep))
        .routes(routes!(verify))
}

/// How the manager is set up, without secrets.
#[utoipa::path(get, path = "/api/admin/config", tag = "admin", responses((status = 200, body = BTreeMap<String, String>)))]
async fn config(State(state): State<ApiState>, _caller: Caller) -> Json<BTreeMap<&'static str, String>> {
    let settings = state.app.settings();
    Json(BTreeMap::from([
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("lease.interval_ms", settings.lease.interval_ms.to_string()),
        ("lease.lease_ms", settings.lease.lease_ms.to_string()),
        ("feed.keep_entries", settings.feed.keep_entries.to_string()),
    ]))
}

/// The open tasks of a type.
#[utoipa::path(get, path = "/api/admin/task/{type}", tag = "admin",
    params(("type" = String, Path, description = "Name of the task definition"), ("start" = Option<usize>, Query),
        ("count" = Option<usize>, Query, description = "At most 1000; default 100")),
    responses((status = 200, body = Vec<crate::api::shapes::Task>, description = "[Task], newest first"), (status = 400, description = "Invalid")))]
async fn tasks(
    State(state): State<ApiState>,
    caller: Caller,
    Path(task_type): Path<String>,
    params: Params,
) -> Result<Response, ApiError> {
    let offset = params.number("start", 0, usize::MAX)? as u64;
    let limit = params.number("count", 100, TASKS_MAX)?;
    let owner = caller.tenant.clone();
    let filter = TaskFilter {
        statuses: vec![TaskStatus::Scheduled, TaskStatus::InProgress],
        definition_name: Some(task_type),
        ..TaskFilter::default()
    };
    let found = state.app.read(move |store| store.tasks(&owner, &filter, Page { before: None, offset, limit })).await?;
    Ok(Json(load::tasks_json(&state, &caller.tenant, &found).await?).into_response())
}

/// How many tasks wait for pollers, by task type.
#[utoipa::path(get, path = "/api/admin/queues", tag = "admin",
    responses((status = 200, body = BTreeMap<String, u64>, description = "{type: number}")))]
async fn queues(State(state): State<ApiState>, caller: Caller) -> Result<Json<BTreeMap<String, u64>>, ApiError> {
    let mut sizes = BTreeMap::new();
    for queue in state.app.queues(&caller.tenant).await? {
        *sizes.entry(queue.task_type).or_default() += queue.waiting;
    }
    Ok(Json(sizes))
}

/// Puts what is open of a workflow back where it waits.
#[utoipa::path(post, path = "/api/admin/sweep/requeue/{id}", tag = "admin", params(("id" = String, Path)),
    responses((status = 200, content_type = "text/plain", body = String, description = "true"),
        (status = 404, description = "There is none")))]
async fn sweep(State(state): State<ApiState>, caller: Caller, Path(id): Path<String>) -> Result<Response, ApiError> {
    state.app.look_at_workflow(&caller.tenant, workflow_id(&id)?).await?;
    Ok(plain(&true))
}

/// Answers whether anything of a workflow was to be repaired. Nothing ever is: queues and timers are worked out from what is
/// stored, in one transaction with it.
#[utoipa::path(post, path = "/api/admin/consistency/verifyAndRepair/{id}", tag = "admin", params(("id" = String, Path)),
    responses((status = 200, content_type = "text/plain", body = String, description = "false"),
        (status = 404, description = "There is none")))]
async fn verify(State(state): State<ApiState>, caller: Caller, Path(id): Path<String>) -> Result<Response, ApiError> {
    state.app.look_at_workflow(&caller.tenant, workflow_id(&id)?).await?;
    Ok(plain(&false))
}
