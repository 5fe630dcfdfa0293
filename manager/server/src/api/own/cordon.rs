//! `/api/v1/agents/{id}/cordon`.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::ApiError;
use crate::api::extract::{JsonBody, name_in_path, parse_json};
use crate::api::state::ApiState;
use crate::app::Caller;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(cordon, uncordon))
}

/// Why an agent is left alone.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct CordonBody {
    /// For people; at most 500 characters.
    #[serde(default)]
    reason: Option<String>,
}

/// Reads a body as [`cordon`] does.
pub(in crate::api) fn read_cordon(bytes: &[u8]) -> Result<(), ApiError> {
    parse_json::<CordonBody>(bytes).map(|_| ())
}

/// Gives an agent nothing new from now on; what it has goes on. To drain it, wait until its `tasks` are empty.
#[utoipa::path(put, path = "/api/v1/agents/{id}/cordon", tag = "agents", params(("id" = String, Path)),
    request_body(content = CordonBody),
    responses((status = 204, description = "Cordoned"), (status = 400, description = "Invalid"),
        (status = 404, description = "There is none")))]
async fn cordon(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<CordonBody>,
) -> Result<StatusCode, ApiError> {
    state.app.cordon_agent(&caller.tenant, name_in_path(&id)?, body.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets an agent be given tasks again.
#[utoipa::path(delete, path = "/api/v1/agents/{id}/cordon", tag = "agents", params(("id" = String, Path)),
    responses((status = 204, description = "It takes tasks again"), (status = 404, description = "There is none")))]
async fn uncordon(State(state): State<ApiState>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    state.app.uncordon_agent(&caller.tenant, name_in_path(&id)?).await?;
    Ok(StatusCode::NO_CONTENT)
}
