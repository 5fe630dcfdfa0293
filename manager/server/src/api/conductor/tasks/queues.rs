//! How many tasks wait for pollers, and putting them back.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::Response;

use super::super::plain;
use crate::api::ApiError;
use crate::api::extract::Params;
use crate::api::state::ApiState;
use crate::app::Caller;
use crate::app::core::QueueView;

/// The one place of every queue: there are no shards.
const SHARD: &str = "local";

/// A queue's name as SDKs know it.
fn queue_name(queue: &QueueView) -> String {
    queue.domain.as_ref().map_or_else(|| queue.task_type.clone(), |domain| format!("{domain}:{}", queue.task_type))
}

fn count(queues: &[QueueView], task_type: &str, domain: Option<&str>) -> u64 {
    let own = queues.iter().filter(|queue| queue.task_type == task_type);
    own.filter(|queue| domain.is_none() || queue.domain.as_deref() == domain).map(|queue| queue.waiting).sum()
}

/// How many tasks of one type wait for pollers.
#[utoipa::path(get, path = "/api/tasks/queue/size", tag = "tasks",
    params(("taskType" = String, Query), ("domain" = Option<String>, Query, description = "All domains where none is named"),
        ("isolationGroupId" = Option<String>, Query, description = "There are none: 0 is answered"),
        ("executionNamespace" = Option<String>, Query, description = "There are none: 0 is answered")),
    responses((status = 200, body = u64, content_type = "application/json"), (status = 400, description = "taskType is missing")))]
pub(super) async fn size(State(state): State<ApiState>, caller: Caller, params: Params) -> Result<Json<u64>, ApiError> {
    let wanted = params.text("taskType").ok_or_else(|| {
        ApiError::bad_request("query-invalid", "query parameter taskType is missing; name the task definition to count")
    })?;
    if params.text("isolationGroupId").or_else(|| params.text("executionNamespace")).is_some() {
        return Ok(Json(0));
    }
    Ok(Json(count(&state.app.queues(&caller.tenant).await?, wanted, params.text("domain"))))
}

/// How many tasks of some types wait for pollers.
#[utoipa::path(get, path = "/api/tasks/queue/sizes", tag = "tasks",
    params(("taskType" = Vec<String>, Query, description = "May be given several times"), ("domain" = Option<String>, Query)),
    responses((status = 200, body = BTreeMap<String, u64>, description = "{type: number}")))]
pub(super) async fn sizes(
    State(state): State<ApiState>,
    caller: Caller,
    params: Params,
) -> Result<Json<BTreeMap<String, u64>>, ApiError> {
    let queues = state.app.queues(&caller.tenant).await?;
    let wanted = params.all("taskType").flat_map(|list| list.split(','));
    Ok(Json(wanted.map(|name| (name.to_owned(), count(&queues, name, params.text("domain")))).collect()))
}

/// How many tasks wait for pollers, by queue: `type` or `domain:type`.
#[utoipa::path(get, path = "/api/tasks/queue/all", tag = "tasks",
    responses((status = 200, body = BTreeMap<String, u64>, description = "{queue: number}")))]
pub(super) async fn all(State(state): State<ApiState>, caller: Caller) -> Result<Json<BTreeMap<String, u64>>, ApiError> {
    let queues = state.app.queues(&caller.tenant).await?;
    Ok(Json(queues.iter().map(|queue| (queue_name(queue), queue.waiting)).collect()))
}

/// The same with the parts of each queue.
#[utoipa::path(get, path = "/api/tasks/queue/all/verbose", tag = "tasks",
    responses((status = 200, body = BTreeMap<String, BTreeMap<String, crate::api::shapes::QueuePart>>, description = "{queue: {local: {size, uacked}}}; uacked is how many workers have and \
        have not ended")))]
pub(super) async fn all_verbose(
    State(state): State<ApiState>,
    caller: Caller,
) -> Result<Json<BTreeMap<String, serde_json::Value>>, ApiError> {
    let queues = state.app.queues(&caller.tenant).await?;
    let parts = |queue: &QueueView| serde_json::json!({ SHARD: { "size": queue.waiting, "uacked": queue.handed } });
    Ok(Json(queues.iter().map(|queue| (queue_name(queue), parts(queue))).collect()))
}

/// Puts tasks of a type that wait nowhere back into their queue; answers how many wait there then.
#[utoipa::path(post, path = "/api/tasks/queue/requeue/{type}", tag = "tasks",
    params(("type" = String, Path, description = "Name of the task definition")),
    responses((status = 200, content_type = "text/plain", body = String, description = "A number")))]
pub(super) async fn requeue(
    State(state): State<ApiState>,
    caller: Caller,
    Path(task_type): Path<String>,
) -> Result<Response, ApiError> {
    Ok(plain(&state.app.requeue(&caller.tenant, &task_type).await?))
}
