//! `/api/tasks`: what polling workers call, and reading tasks.

mod by_reference;
mod get;
mod log;
mod poll;
mod poll_data;
mod queues;
mod search;
mod signal;
mod update;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::state::ApiState;

pub(in crate::api) use update::read_task_result;
pub(super) use update::{Status, TaskResult, apply};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(poll::poll))
        .routes(routes!(poll::poll_batch))
        .routes(routes!(update::update))
        .routes(routes!(update::update_v2))
        .routes(routes!(by_reference::update_by_reference))
        .routes(routes!(by_reference::update_by_reference_sync))
        .routes(routes!(log::append, log::read))
        .routes(routes!(get::get))
        .routes(routes!(queues::size))
        .routes(routes!(queues::sizes))
        .routes(routes!(queues::all))
        .routes(routes!(queues::all_verbose))
        .routes(routes!(queues::requeue))
        .routes(routes!(poll_data::of_type))
        .routes(routes!(poll_data::of_all))
        .routes(routes!(signal::signal))
        .routes(routes!(signal::signal_and_wait))
        .routes(routes!(search::search))
        .routes(routes!(search::search_v2))
}
