//! `/api/workflow`: runs of workflow definitions.

mod control;
mod correlated;
mod get;
mod running;
mod search;
mod search_by_tasks;
mod start;
mod status;
mod tasks;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(start::start))
        // One path: a name to start, an id to read or end.
        .routes(routes!(start::start_by_name, get::get, control::terminate))
        .routes(routes!(control::pause))
        .routes(routes!(control::resume))
        .routes(routes!(tasks::tasks))
        .routes(routes!(status::status))
        .routes(routes!(running::running))
        .routes(routes!(correlated::correlated))
        .routes(routes!(correlated::correlated_batch))
        .routes(routes!(search::search))
        .routes(routes!(search::search_v2))
        .routes(routes!(search_by_tasks::search_by_tasks))
        .routes(routes!(search_by_tasks::search_by_tasks_v2))
}
