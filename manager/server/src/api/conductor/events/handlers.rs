//! `/api/event`.

use axum::Json;
use axum::extract::{Path, State};
use conductor_model::EventHandler;
use conductor_store::Putting;

use crate::api::ApiError;
use crate::api::extract::{JsonListOrOne, Params};
use crate::api::state::ApiState;
use crate::app::Caller;

/// Every event handler.
#[utoipa::path(get, path = "/api/event", tag = "event handlers",
    responses((status = 200, body = Vec<crate::api::shapes::EventHandler>, description = "Event handlers, by name")))]
pub(super) async fn list(State(state): State<ApiState>, caller: Caller) -> Json<Vec<EventHandler>> {
    Json(state.app.event_handlers(&caller.tenant, None, false))
}

/// Adds event handlers. They act at once.
#[utoipa::path(post, path = "/api/event", tag = "event handlers",
    request_body(content = Object, description = "An event handler, or a list of them: name, event (conductor:WORKFLOW:NAME, \
        amqp_queue:QUEUE, amqp_exchange:EXCHANGE?routingKey=KEY), condition (JavaScript), actions, active"),
    responses((status = 200, description = "Stored"), (status = 400, description = "Invalid; validationErrors says why"),
        (status = 409, description = "There is one of this name")))]
pub(super) async fn add(
    State(state): State<ApiState>,
    caller: Caller,
    JsonListOrOne(handlers): JsonListOrOne<EventHandler>,
) -> Result<(), ApiError> {
    Ok(state.app.put_event_handlers(&caller.tenant, handlers, Putting::New).await?)
}

/// Changes event handlers that are there.
#[utoipa::path(put, path = "/api/event", tag = "event handlers",
    request_body(content = Object, description = "An event handler, or a list of them"),
    responses((status = 200, description = "Stored"), (status = 400, description = "Invalid; validationErrors says why"),
        (status = 404, description = "There is none of this name")))]
pub(super) async fn change(
    State(state): State<ApiState>,
    caller: Caller,
    JsonListOrOne(handlers): JsonListOrOne<EventHandler>,
) -> Result<(), ApiError> {
    Ok(state.app.put_event_handlers(&caller.tenant, handlers, Putting::Again).await?)
}

/// The event handlers of one event.
#[utoipa::path(get, path = "/api/event/{name}", tag = "event handlers",
    params(("name" = String, Path, description = "The event, as in conductor:WORKFLOW:NAME, percent-encoded"),
        ("activeOnly" = Option<bool>, Query, description = "Only those that are switched on; true by default")),
    responses((status = 200, body = Vec<crate::api::shapes::EventHandler>, description = "Event handlers, by name"), (status = 400, description = "Invalid")))]
pub(super) async fn of_event(
    State(state): State<ApiState>,
    caller: Caller,
    Path(event): Path<String>,
    params: Params,
) -> Result<Json<Vec<EventHandler>>, ApiError> {
    let only_active = params.flag("activeOnly", true)?;
    Ok(Json(state.app.event_handlers(&caller.tenant, Some(&event), only_active)))
}

/// Removes an event handler.
#[utoipa::path(delete, path = "/api/event/{name}", tag = "event handlers", params(("name" = String, Path)),
    responses((status = 200, description = "Removed"), (status = 404, description = "There is none of this name")))]
pub(super) async fn delete(State(state): State<ApiState>, caller: Caller, Path(name): Path<String>) -> Result<(), ApiError> {
    Ok(state.app.delete_event_handler(&caller.tenant, &name).await?)
}
