//! All routes, and what is around them.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{Router, middleware};
use futures_util::FutureExt;
use tokio::sync::watch;
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
        .layer(middleware::from_fn_with_state(state.clone(), around))
        .with_state(state))
}

/// What is around every handler, from the outside in: a request is counted and gets an id, errors are written as its door
/// writes them, a panic is an error too, and nobody passes without a token. All in one layer, for each costs every request
/// several allocations.
async fn around(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let admitted = |request| or_error(auth::require_token(&state, request, next));
    observe::observe(&state, request, |request| door::render_errors(request, admitted)).await
}

/// The routes without what is around them, described.
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

/// The answer; an error where making it panics.
async fn or_error(answer: impl Future<Output = Response>) -> Response {
    AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|panic| after_panic(&*panic))
}

fn after_panic(panic: &(dyn Any + Send)) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no text");
    tracing::error!(panic = text, "a handler panicked");
    ApiError::internal().into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_error_for_the_caller() {
        let answer = or_error(async { panic!("no bread") }).await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert!(answer.extensions().get::<ApiError>().is_some(), "its door writes it");
        assert_eq!(or_error(async { StatusCode::CREATED.into_response() }).await.status(), StatusCode::CREATED);
    }
}
