//! Schedules by name.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use conductor_model::Schedule;

use crate::api::ApiError;
use crate::api::extract::{JsonBody, Params};
use crate::api::state::ApiState;
use crate::app::Caller;

/// Stores a schedule, new or again. It is due from now on.
#[utoipa::path(post, path = "/api/scheduler/schedules", tag = "scheduler",
    request_body(content = Object, description = "{name, cronExpression or cronSchedules [{cronExpression, zoneId}], zoneId (UTC), \
        startWorkflowRequest, paused, scheduleStartTime, scheduleEndTime, runCatchupScheduleInstances, description}; \
        expressions have 6 fields (with seconds), 7 (with a year) or 5 (cron's own)"),
    responses((status = 200, description = "Stored"), (status = 400, description = "Invalid"),
        (status = 404, description = "No such workflow definition or version")))]
pub(super) async fn save(
    State(state): State<ApiState>,
    caller: Caller,
    JsonBody(schedule): JsonBody<Schedule>,
) -> Result<StatusCode, ApiError> {
    state.app.put_schedule(&caller.tenant, schedule, &caller.name).await?;
    Ok(StatusCode::OK)
}

/// All schedules, by name.
#[utoipa::path(get, path = "/api/scheduler/schedules", tag = "scheduler",
    params(("workflowName" = Option<String>, Query, description = "Only those that start this workflow")),
    responses((status = 200, body = Vec<crate::api::shapes::WorkflowSchedule>, description = "[WorkflowSchedule]")))]
pub(super) async fn list(
    State(state): State<ApiState>,
    caller: Caller,
    params: Params,
) -> Result<Json<Vec<Schedule>>, ApiError> {
    let mut schedules = state.app.schedules(&caller.tenant).await?;
    if let Some(wanted) = params.text("workflowName") {
        schedules.retain(|schedule| schedule.start_workflow_request.name == wanted);
    }
    Ok(Json(schedules))
}

/// One schedule.
#[utoipa::path(get, path = "/api/scheduler/schedules/{name}", tag = "scheduler", params(("name" = String, Path)),
    responses((status = 200, body = crate::api::shapes::WorkflowSchedule, description = "WorkflowSchedule"), (status = 404, description = "There is none")))]
pub(super) async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Schedule>, ApiError> {
    Ok(Json(state.app.schedule(&caller.tenant, &name).await?))
}

/// Removes a schedule. What it started goes on.
#[utoipa::path(delete, path = "/api/scheduler/schedules/{name}", tag = "scheduler", params(("name" = String, Path)),
    responses((status = 200, description = "Removed"), (status = 404, description = "There is none")))]
pub(super) async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.app.delete_schedule(&caller.tenant, &name).await?;
    Ok(StatusCode::OK)
}

/// Lets a schedule rest.
#[utoipa::path(put, path = "/api/scheduler/schedules/{name}/pause", tag = "scheduler",
    params(("name" = String, Path), ("reason" = Option<String>, Query)),
    responses((status = 200, description = "It rests"), (status = 404, description = "There is none")))]
pub(super) async fn pause(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
    params: Params,
) -> Result<StatusCode, ApiError> {
    let reason = params.text("reason").map(str::to_owned);
    state.app.pause_schedule(&caller.tenant, &name, true, reason).await?;
    Ok(StatusCode::OK)
}

/// Lets a schedule rest; for clients that write GET.
#[utoipa::path(get, path = "/api/scheduler/schedules/{name}/pause", tag = "scheduler",
    params(("name" = String, Path), ("reason" = Option<String>, Query)),
    responses((status = 200, description = "It rests"), (status = 404, description = "There is none")))]
pub(super) async fn pause_by_get(
    state: State<ApiState>,
    caller: Caller,
    name: Path<String>,
    params: Params,
) -> Result<StatusCode, ApiError> {
    pause(state, caller, name, params).await
}

/// Lets a schedule go on. What passed while it rested is not made up for.
#[utoipa::path(put, path = "/api/scheduler/schedules/{name}/resume", tag = "scheduler", params(("name" = String, Path)),
    responses((status = 200, description = "It goes on"), (status = 404, description = "There is none")))]
pub(super) async fn resume(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.app.pause_schedule(&caller.tenant, &name, false, None).await?;
    Ok(StatusCode::OK)
}

/// Lets a schedule go on; for clients that write GET.
#[utoipa::path(get, path = "/api/scheduler/schedules/{name}/resume", tag = "scheduler", params(("name" = String, Path)),
    responses((status = 200, description = "It goes on"), (status = 404, description = "There is none")))]
pub(super) async fn resume_by_get(state: State<ApiState>, caller: Caller, name: Path<String>) -> Result<StatusCode, ApiError> {
    resume(state, caller, name).await
}
