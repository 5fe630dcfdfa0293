//! Who polled last.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::api::ApiError;
use crate::api::extract::Params;
use crate::api::state::ApiState;
use crate::app::Caller;
use crate::app::core::PollSeen;

/// Conductor's PollData.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    queue_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<String>,
    worker_id: String,
    last_poll_time: i64,
}

impl From<PollSeen> for Shown {
    fn from(seen: PollSeen) -> Self {
        Self { queue_name: seen.task_type, domain: seen.domain, worker_id: seen.worker, last_poll_time: seen.at.0 }
    }
}

/// The last poll of each worker for one task type, since the manager started.
#[utoipa::path(get, path = "/api/tasks/queue/polldata", tag = "tasks", params(("taskType" = String, Query)),
    responses((status = 200, body = Vec<crate::api::shapes::PollData>, description = "[{queueName, domain, workerId, lastPollTime}]"),
        (status = 400, description = "taskType is missing")))]
pub(super) async fn of_type(
    State(state): State<ApiState>,
    caller: Caller,
    params: Params,
) -> Result<Json<Vec<Shown>>, ApiError> {
    let wanted = params.text("taskType").ok_or_else(|| {
        ApiError::bad_request("query-invalid", "query parameter taskType is missing; polldata/all shows every type")
    })?;
    let seen = state.app.poll_data(&caller.tenant, Some(wanted)).await?;
    Ok(Json(seen.into_iter().map(Into::into).collect()))
}

/// The last poll of each worker for all task types, since the manager started.
#[utoipa::path(get, path = "/api/tasks/queue/polldata/all", tag = "tasks",
    responses((status = 200, body = Vec<crate::api::shapes::PollData>, description = "[{queueName, domain, workerId, lastPollTime}]")))]
pub(super) async fn of_all(State(state): State<ApiState>, caller: Caller) -> Result<Json<Vec<Shown>>, ApiError> {
    let seen = state.app.poll_data(&caller.tenant, None).await?;
    Ok(Json(seen.into_iter().map(Into::into).collect()))
}
