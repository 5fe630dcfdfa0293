//! Every request gets an id and a span, and is counted.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use tracing::Instrument;
use uuid::Uuid;

use super::state::ApiState;

/// Names a request in answers and logs. A caller may bring its own.
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id of a caller in bytes that is kept.
const REQUEST_ID_BYTES_MAX: usize = 64;

/// What is outermost around every request.
pub(super) async fn observe<F>(state: &ApiState, request: Request, answer: impl FnOnce(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    let began = Instant::now();
    let _in_flight = state.metrics.request_began();
    let method = request.method().clone();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let id = request_id(&request);
    let span = tracing::debug_span!(
        "request",
        id = id.to_str().unwrap_or_default(),
        method = method.as_str(),
        path = request.uri().path(),
        caller = tracing::field::Empty
    );
    let mut response = answer(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    let took = began.elapsed();
    span.in_scope(|| tracing::debug!(status, duration_ms = took.as_secs_f64() * 1000.0, "request answered"));
    let route = matched.as_ref().map_or("unknown", MatchedPath::as_str);
    state.metrics.request_ended(method.as_str(), route, status, took);
    response.headers_mut().insert(REQUEST_ID.clone(), id);
    response
}

fn request_id(request: &Request) -> HeaderValue {
    match request.headers().get(&REQUEST_ID) {
        Some(given) if (1..=REQUEST_ID_BYTES_MAX).contains(&given.len()) && given.to_str().is_ok() => given.clone(),
        _ => {
            let (id, mut text) = (Uuid::now_v7(), Uuid::encode_buffer());
            HeaderValue::from_str(id.hyphenated().encode_lower(&mut text)).unwrap_or(HeaderValue::from_static("unknown"))
        }
    }
}
