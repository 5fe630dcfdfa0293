//! Every request gets an id and a span, and is counted.

use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;
use uuid::Uuid;

use super::state::ApiState;

/// Names a request in answers and logs. A caller may bring its own.
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id of a caller in bytes that is kept.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// The outermost layer.
pub(super) async fn observe(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let _in_flight = state.metrics.request_began();
    let method = request.method().as_str().to_owned();
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", |matched| matched.as_str()).to_owned();
    let id = request_id(&request);
    let span = tracing::debug_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        method,
        path = request.uri().path(),
        caller = tracing::field::Empty
    );
    let mut response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    let took = began.elapsed();
    span.in_scope(|| tracing::debug!(status, duration_ms = took.as_secs_f64() * 1000.0, "request answered"));
    state.metrics.request_ended(&method, &route, status, took);
    response.headers_mut().insert(REQUEST_ID.clone(), id);
    response
}

fn request_id(request: &Request) -> HeaderValue {
    match request.headers().get(&REQUEST_ID) {
        Some(given) if (1..=REQUEST_ID_BYTES_MAX).contains(&given.len()) && given.to_str().is_ok() => given.clone(),
        _ => HeaderValue::from_str(&Uuid::now_v7().to_string()).unwrap_or(HeaderValue::from_static("unknown")),
    }
}
