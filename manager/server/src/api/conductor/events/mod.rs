//! `/api/event` and `/api/queue`: event handlers, and reports on waiting tasks that come as messages.

mod handlers;
mod queue;

use axum::routing::get;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(handlers::list, handlers::add, handlers::change))
        .routes(routes!(handlers::of_event, handlers::delete))
        .routes(routes!(queue::names))
        // As Conductor writes it.
        .route("/api/queue/", get(queue::names))
        .routes(routes!(queue::sizes))
        .routes(routes!(queue::update_by_reference))
        .routes(routes!(queue::update_by_task))
}
