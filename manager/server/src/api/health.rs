//! `/health` and `/api/health`, in Conductor's shape.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(health)).routes(routes!(api_health))
}

/// How the manager is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Health {
    health_results: Vec<PartHealth>,
    #[schema(value_type = Vec<Object>)]
    suppressed_health_results: [(); 0],
    healthy: bool,
}

/// How one part of it is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PartHealth {
    details: PartDetails,
    healthy: bool,
}

#[derive(Debug, Serialize, ToSchema)]
struct PartDetails {
    name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Whether the manager is well. Needs no token.
#[utoipa::path(get, path = "/health", tag = "operation", security(()),
    responses((status = 200, body = Health), (status = 503, body = Health, description = "The store fails")))]
async fn health(State(state): State<ApiState>) -> (StatusCode, Json<Health>) {
    answer(&state).await
}

/// Whether the manager is well. Needs no token.
#[utoipa::path(get, path = "/api/health", tag = "operation", security(()),
    responses((status = 200, body = Health), (status = 503, body = Health, description = "The store fails")))]
async fn api_health(State(state): State<ApiState>) -> (StatusCode, Json<Health>) {
    answer(&state).await
}

async fn answer(state: &ApiState) -> (StatusCode, Json<Health>) {
    let store = state.app.read(|store| store.count_tokens()).await;
    let store = part("store", store.err().map(|error| error.to_string()));
    let broker = (!state.app.broker_connected()).then(|| "there is no session with RabbitMQ; work for agents waits".to_owned());
    // Without the broker, requests are still answered; without the store, none is.
    let status = if store.healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let results = vec![store, part("broker", broker)];
    let healthy = results.iter().all(|part| part.healthy);
    (status, Json(Health { health_results: results, suppressed_health_results: [], healthy }))
}

fn part(name: &'static str, error: Option<String>) -> PartHealth {
    PartHealth { healthy: error.is_none(), details: PartDetails { name, error } }
}
