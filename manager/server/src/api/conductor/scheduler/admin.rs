//! All schedules, or many, at once.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::api::ApiError;
use crate::api::extract::JsonBody;
use crate::api::limits::PAGE_ROWS_MAX;
use crate::api::state::ApiState;
use crate::app::Caller;

/// Conductor's BulkResponse.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outcomes {
    bulk_error_results: BTreeMap<String, String>,
    bulk_successful_results: Vec<String>,
}

/// Lets all schedules of the tenant rest until they are told to go on.
#[utoipa::path(get, path = "/api/scheduler/admin/pause", tag = "scheduler",
    responses((status = 200, body = BTreeMap<String, bool>, description = "{paused}")))]
pub(super) async fn pause(
    State(state): State<ApiState>,
    caller: Caller,
) -> Result<Json<BTreeMap<&'static str, bool>>, ApiError> {
    state.app.pause_scheduler(&caller.tenant, true).await?;
    Ok(Json(BTreeMap::from([("paused", true)])))
}

/// Lets all schedules of the tenant go on, but for those that rest by themselves.
#[utoipa::path(get, path = "/api/scheduler/admin/resume", tag = "scheduler",
    responses((status = 200, body = BTreeMap<String, bool>, description = "{paused}")))]
pub(super) async fn resume(
    State(state): State<ApiState>,
    caller: Caller,
) -> Result<Json<BTreeMap<&'static str, bool>>, ApiError> {
    state.app.pause_scheduler(&caller.tenant, false).await?;
    Ok(Json(BTreeMap::from([("paused", false)])))
}

/// Looks again when each schedule is due. Nothing changes by it: that is always known.
#[utoipa::path(get, path = "/api/scheduler/admin/requeue", tag = "scheduler",
    responses((status = 200, body = BTreeMap<String, u64>, description = "{schedules: number}")))]
pub(super) async fn requeue(
    State(state): State<ApiState>,
    caller: Caller,
) -> Result<Json<BTreeMap<&'static str, usize>>, ApiError> {
    Ok(Json(BTreeMap::from([("schedules", state.app.schedules(&caller.tenant).await?.len())])))
}

/// Lets many schedules rest.
#[utoipa::path(put, path = "/api/scheduler/bulk/pause", tag = "scheduler",
    request_body(content = Vec<String>, description = "Names, at most 5000"),
    responses((status = 200, body = crate::api::shapes::BulkResponse, description = "{bulkErrorResults, bulkSuccessfulResults}"),
        (status = 400, description = "Invalid")))]
pub(super) async fn bulk_pause(
    state: State<ApiState>,
    caller: Caller,
    JsonBody(names): JsonBody<Vec<String>>,
) -> Result<Json<Outcomes>, ApiError> {
    bulk(state, caller, names, true).await
}

/// Lets many schedules go on.
#[utoipa::path(put, path = "/api/scheduler/bulk/resume", tag = "scheduler",
    request_body(content = Vec<String>, description = "Names, at most 5000"),
    responses((status = 200, body = crate::api::shapes::BulkResponse, description = "{bulkErrorResults, bulkSuccessfulResults}"),
        (status = 400, description = "Invalid")))]
pub(super) async fn bulk_resume(
    state: State<ApiState>,
    caller: Caller,
    JsonBody(names): JsonBody<Vec<String>>,
) -> Result<Json<Outcomes>, ApiError> {
    bulk(state, caller, names, false).await
}

async fn bulk(
    State(state): State<ApiState>,
    caller: Caller,
    names: Vec<String>,
    paused: bool,
) -> Result<Json<Outcomes>, ApiError> {
    if names.len() > PAGE_ROWS_MAX {
        let message = format!("{} names were given; at most {PAGE_ROWS_MAX} are allowed at once", names.len());
        return Err(ApiError::bad_request("too-many", message));
    }
    let mut outcomes = Outcomes::default();
    for name in names {
        match state.app.pause_schedule(&caller.tenant, &name, paused, None).await {
            Ok(()) => outcomes.bulk_successful_results.push(name),
            Err(error) => {
                outcomes.bulk_error_results.insert(name, error.to_string());
            }
        }
    }
    Ok(Json(outcomes))
}
