//! `/api/scheduler`: workflows that start by the calendar.

mod admin;
mod next;
mod schedules;
mod search;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(schedules::save, schedules::list))
        .routes(routes!(schedules::get, schedules::delete))
        .routes(routes!(schedules::pause, schedules::pause_by_get))
        .routes(routes!(schedules::resume, schedules::resume_by_get))
        .routes(routes!(search::schedules))
        .routes(routes!(search::executions))
        .routes(routes!(next::next))
        .routes(routes!(admin::pause))
        .routes(routes!(admin::resume))
        .routes(routes!(admin::requeue))
        .routes(routes!(admin::bulk_pause))
        .routes(routes!(admin::bulk_resume))
}
