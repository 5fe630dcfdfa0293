//! All routes, and the layers around them.

use axum::http::{StatusCode, Uri};
use axum::response::IntoResponse;
use axum::{Router, middleware};
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::state::ApiState;
use super::{ApiError, Metrics, auth, cloudify, conductor, docs, door, files, health, metrics, observe, own};
use crate::app::App;
use crate::app::files::FileError;

/// All doors of the manager. Event streams and long polls end when `shutdown` turns true; `metrics` is what `/metrics` shows.
///
/// # Errors
/// When the folder for files cannot be made ready.
pub fn router(app: App, metrics: Metrics, shutdown: watch::Receiver<bool>) -> Result<Router, FileError> {
    let state = ApiState::open(app, metrics, shutdown)?;
    let (routes, document) = routes().split_for_parts();
    Ok(routes
        .merge(docs::pages(document))
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(state.clone(), auth::require_token))
        .layer(CatchPanicLayer::custom(after_panic))
        .layer(middleware::from_fn(door::render_errors))
        .layer(middleware::from_fn_with_state(state.clone(), observe::observe))
        .with_state(state))
}

/// The routes without their layers, described.
pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(docs::Frame::openapi())
        .merge(conductor::routes())
        .merge(own::routes())
        .merge(cloudify::routes())
        .merge(files::routes())
        .merge(health::routes())
        .merge(metrics::routes())
}

async fn no_such_route(uri: Uri) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "no-such-route", format!("there is no {}", uri.path())).hint("/docs lists every route")
}

async fn wrong_method(uri: Uri) -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", format!("{} does not take this method", uri.path()))
        .hint("/docs lists every route with its methods")
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over so")]
fn after_panic(panic: Box<dyn std::any::Any + Send + 'static>) -> axum::response::Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no text");
    tracing::error!(panic = text, "a handler panicked");
    ApiError::internal().into_response()
}
