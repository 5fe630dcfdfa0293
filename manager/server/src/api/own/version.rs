//! `GET /api/v1/version`.

use axum::Json;
use conductor_wire::{PROTOCOL, PROTOCOL_OLDEST};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(version))
}

/// What the manager is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ManagerVersion)]
struct Version {
    name: &'static str,
    version: &'static str,
    /// The newest protocol that it speaks with agents.
    protocol: u16,
    /// The oldest protocol that it speaks with agents.
    protocol_oldest: u16,
}

/// The manager's version and the protocols that it speaks with agents.
#[utoipa::path(get, path = "/api/v1/version", tag = "operation", responses((status = 200, body = Version)))]
async fn version() -> Json<Version> {
    Json(Version {
        name: "conductor-manager",
        version: env!("CARGO_PKG_VERSION"),
        protocol: PROTOCOL,
        protocol_oldest: PROTOCOL_OLDEST,
    })
}
