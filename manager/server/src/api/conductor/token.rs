//! `POST /api/token`: SDKs exchange a key and a secret for a token. Here the secret is the token.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::ApiError;
use crate::api::auth::caller_of_token;
use crate::api::extract::{JsonBody, parse_json};
use crate::api::state::ApiState;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(token))
}

/// What an SDK has.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Key {
    /// Not looked at.
    #[serde(default, rename = "keyId")]
    _key_id: Option<String>,
    /// An API token.
    key_secret: String,
}

/// Reads a body as the exchange of a key does.
pub(in crate::api) fn read_key(bytes: &[u8]) -> Result<(), ApiError> {
    parse_json::<Key>(bytes).map(|_| ())
}

/// What it sends from then on.
#[derive(Debug, Serialize, ToSchema)]
struct Token {
    token: String,
}

/// Checks an API token. Needs none itself.
#[utoipa::path(post, path = "/api/token", tag = "operation", security(()), request_body = Key,
    responses((status = 200, body = Token), (status = 401, description = "The secret is not an API token")))]
async fn token(State(state): State<ApiState>, JsonBody(key): JsonBody<Key>) -> Result<Json<Token>, ApiError> {
    caller_of_token(&state, &key.key_secret).await.map_err(|error| error.hint("keySecret must be an API token"))?;
    Ok(Json(Token { token: key.key_secret }))
}
