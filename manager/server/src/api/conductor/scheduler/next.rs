//! When a calendar is due next.

use axum::Json;
use axum::extract::State;
use conductor_model::Timestamp;

use crate::api::ApiError;
use crate::api::extract::Params;
use crate::api::state::ApiState;
use crate::app::Caller;
use crate::app::schedules::NEXT_MOMENTS_MAX;

/// Moments shown where nobody says how many.
const MOMENTS_DEFAULT: usize = 3;

/// The next moments of a calendar.
#[utoipa::path(get, path = "/api/scheduler/nextFewSchedules", tag = "scheduler",
    params(("cronExpression" = String, Query), ("zoneId" = Option<String>, Query, description = "Default UTC"),
        ("scheduleStartTime" = Option<i64>, Query), ("scheduleEndTime" = Option<i64>, Query),
        ("limit" = Option<u32>, Query, description = "Default 3, at most 5")),
    responses((status = 200, body = Vec<i64>, description = "Milliseconds since 1970"), (status = 400, description = "Invalid")))]
pub(super) async fn next(State(state): State<ApiState>, _caller: Caller, params: Params) -> Result<Json<Vec<i64>>, ApiError> {
    let expression = params.text("cronExpression").ok_or_else(|| {
        ApiError::bad_request("query-invalid", "query parameter cronExpression is missing; write it as in 0 */5 * * * *")
    })?;
    // More than can be shown is no mistake: SDKs ask for what they like.
    let count = params.number("limit", MOMENTS_DEFAULT, usize::MAX)?.clamp(1, NEXT_MOMENTS_MAX);
    let time = |name| params.value::<i64>(name).map(|time| time.filter(|time| *time > 0).map(Timestamp));
    let (from, until) = (time("scheduleStartTime")?, time("scheduleEndTime")?);
    let zone = params.text("zoneId").unwrap_or("UTC");
    let moments = state.app.next_moments(expression, zone, from, until, count)?;
    Ok(Json(moments.into_iter().map(|moment| moment.0).collect()))
}
