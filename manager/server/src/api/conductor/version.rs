//! `GET /api/version`.

use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::plain;
use crate::api::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(version))
}

/// The manager's version, as text.
#[utoipa::path(get, path = "/api/version", tag = "operation", responses((status = 200, content_type = "text/plain", body = String)))]
async fn version() -> Response {
    plain(&env!("CARGO_PKG_VERSION"))
}
