//! Numbers for Prometheus. Each part of the manager registers its own.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiError;
use super::state::ApiState;

/// The registry of the manager's numbers, and the numbers of the doors. Cheap to clone; every clone counts into the same registry.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    requests: Family<RequestLabels, Counter>,
    seconds: Family<RouteLabels, Histogram>,
    in_flight: Gauge,
    listeners: Gauge,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabels {
    method: String,
    route: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("conductor");
        let requests = Family::default();
        // From 0.5 ms to 16 s.
        let seconds =
            Family::new_with_constructor((|| Histogram::new(exponential_buckets(0.0005, 2.0, 16))) as fn() -> Histogram);
        let (in_flight, listeners) = (Gauge::default(), Gauge::default());
        registry.register("http_requests", "Requests answered, by route and status", requests.clone());
        registry.register("http_request_seconds", "Time from a request's head to its answer's head", seconds.clone());
        registry.register("http_requests_in_flight", "Requests that are being answered", in_flight.clone());
        registry.register("event_streams", "Open streams of /api/v1/events", listeners.clone());
        Self { registry: Arc::new(Mutex::new(registry)), requests, seconds, in_flight, listeners }
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Registers numbers of another part. Names get the prefix `conductor_`.
    pub fn register<T>(&self, add: impl FnOnce(&mut Registry) -> T) -> T {
        add(&mut self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// All numbers in OpenMetrics text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        match encode(&mut text, &registry) {
            Ok(()) => text,
            Err(fmt::Error) => String::new(),
        }
    }

    pub(super) fn request_began(&self) -> Counted {
        self.in_flight.inc();
        Counted(self.in_flight.clone())
    }

    pub(super) fn listener_began(&self) -> Counted {
        self.listeners.inc();
        Counted(self.listeners.clone())
    }

    pub(super) fn request_ended(&self, method: &str, route: &str, status: u16, took: Duration) {
        let labels = RequestLabels { method: method.to_owned(), route: route.to_owned(), status };
        self.requests.get_or_create(&labels).inc();
        let RequestLabels { method, route, .. } = labels;
        self.seconds.get_or_create(&RouteLabels { method, route }).observe(took.as_secs_f64());
    }
}

/// Something that is counted while it lives.
#[derive(Debug)]
pub(super) struct Counted(Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    // The second is where Conductor has them.
    OpenApiRouter::new().routes(routes!(metrics)).route("/actuator/prometheus", get(metrics))
}

/// All numbers, for Prometheus. Needs no token.
#[utoipa::path(get, path = "/metrics", tag = "operation", security(()),
    responses((status = 200, description = "OpenMetrics text", content_type = "application/openmetrics-text", body = String)))]
async fn metrics(State(state): State<ApiState>) -> Result<impl IntoResponse, ApiError> {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], state.metrics.text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_show_with_route_and_status() {
        let metrics = Metrics::default();
        metrics.request_ended("GET", "/api/workflow/{id}", 404, Duration::from_millis(3));
        let text = metrics.text();
        assert!(
            text.contains(r#"conductor_http_requests_total{method="GET",route="/api/workflow/{id}",status="404"} 1"#),
            "{text}"
        );
        assert!(text.contains("conductor_http_request_seconds_bucket"), "{text}");
    }

    #[test]
    fn another_part_adds_its_own() {
        let metrics = Metrics::default();
        let decisions: Counter = Counter::default();
        metrics.register(|registry| registry.register("decisions", "Decisions made", decisions.clone()));
        decisions.inc();
        assert!(metrics.text().contains("conductor_decisions_total 1"));
    }
}
