//! Enrolment: tokens for operators, the door for hosts, and what operators say of agents' identities.

use axum::Json;
use axum::extract::{ConnectInfo, Extension, Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use conductor_model::AgentId;
use conductor_wire::identity::{EnrolmentAnswer, EnrolmentRequest, IdentityGrant, RenewalRequest};
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::List;
use crate::api::ApiError;
use crate::api::extract::{JsonBody, name_in_path};
use crate::api::shapes;
use crate::api::state::ApiState;
use crate::app::Caller;
use crate::app::trust::{AgentIdentity, Enrolling, EnrolmentToken, NewToken, TokenMade};
use crate::listen::Peer;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(delete))
        .routes(routes!(authority))
        .routes(routes!(enrol))
        .routes(routes!(identities))
        .routes(routes!(approve))
        .routes(routes!(reject))
        .routes(routes!(revoke))
        .routes(routes!(renew))
}

/// A token as it is shown: without its hash.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    token: serde_json::Map<String, serde_json::Value>,
}

impl Shown {
    fn of<T: Serialize>(token: &T) -> Result<Self, ApiError> {
        match serde_json::to_value(token) {
            Ok(serde_json::Value::Object(mut token)) => {
                token.remove("hash");
                Ok(Self { token })
            }
            Ok(_) | Err(_) => Err(ApiError::internal()),
        }
    }
}

/// All enrolment tokens, without their secrets.
#[utoipa::path(get, path = "/api/v1/enrolment-tokens", tag = "enrolment",
    responses((status = 200, body = shapes::Items<shapes::EnrolmentToken>, description = "{items: [{id, labels, created_by, created_at, expires_at, uses, used, networks, approval}], metadata}")))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Result<Json<List<Shown>>, ApiError> {
    let tokens: Vec<EnrolmentToken> = state.app.enrolment_tokens(&caller.tenant).await?;
    Ok(Json(List::whole(tokens.iter().map(Shown::of).collect::<Result<_, _>>()?)))
}

/// Makes an enrolment token. The answer shows its secret this once.
#[utoipa::path(post, path = "/api/v1/enrolment-tokens", tag = "enrolment",
    request_body(content = crate::api::bodies::NewEnrolmentToken, description = "{labels, pool, ttl_seconds, uses, networks, approval: automatic | manual}, each with a default"),
    responses((status = 201, body = Object, description = "The token, enrolment_string and installer"),
        (status = 400, description = "Invalid"), (status = 409, description = "This manager speaks plain text, or there are too many tokens")))]
async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    JsonBody(new): JsonBody<NewToken>,
) -> Result<(StatusCode, Json<Shown>), ApiError> {
    let made: TokenMade = state.app.create_enrolment_token(&caller, new).await?;
    Ok((StatusCode::CREATED, Json(Shown::of(&made)?)))
}

/// Deletes an enrolment token. Agents that it let in stay.
#[utoipa::path(delete, path = "/api/v1/enrolment-tokens/{id}", tag = "enrolment", params(("id" = String, Path)),
    responses((status = 204, description = "Deleted"), (status = 404, description = "There is none")))]
async fn delete(State(state): State<ApiState>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    state.app.delete_enrolment_token(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The authority's certificate. Enrolment strings pin it; it is no secret.
#[utoipa::path(get, path = "/api/v1/authority", tag = "enrolment",
    responses((status = 200, body = String, content_type = "application/x-pem-file", description = "PEM")))]
async fn authority(State(state): State<ApiState>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/x-pem-file")], state.app.trust().authority().certificate_pem().to_owned())
}

/// A host asks to be let in.
#[utoipa::path(post, path = "/api/v1/enrolments", tag = "enrolment",
    request_body(content = crate::api::bodies::Enrolment, description = "{token, id, certificate_request, time_ms, machine_id}"),
    responses((status = 200, body = shapes::EnrolmentAnswer, description = "{state: granted, certificate, authority, task_key, …} or {state: pending, again_in_ms}"),
        (status = 400, description = "The certificate request is none"), (status = 403, description = "The token is unknown, expired, spent or not for this address"),
        (status = 409, description = "The host's clock is wrong, or the id is taken")))]
async fn enrol(
    State(state): State<ApiState>,
    peer: Option<Extension<ConnectInfo<Peer>>>,
    JsonBody(request): JsonBody<EnrolmentRequest>,
) -> Result<Json<EnrolmentAnswer>, ApiError> {
    let address = peer.map(|Extension(ConnectInfo(peer))| peer.address.ip());
    Ok(Json(state.app.enrol(Enrolling { request, address }).await?))
}

/// All agents' identities.
#[utoipa::path(get, path = "/api/v1/identities", tag = "enrolment",
    responses((status = 200, body = shapes::Items<shapes::AgentIdentity>, description = "{items: [{agent, state, labels, machine_id, address, requested_at, certificates}], metadata}")))]
async fn identities(State(state): State<ApiState>, caller: Caller) -> Json<List<AgentIdentity>> {
    let all = state.app.trust().identities(&caller.tenant);
    Json(List::whole(all.into_iter().map(|identity| AgentIdentity::clone(&identity)).collect()))
}

/// Lets a host in that waits.
#[utoipa::path(post, path = "/api/v1/agents/{id}/approve", tag = "enrolment", params(("id" = String, Path)),
    responses((status = 204, description = "Let in"), (status = 404, description = "None waits"), (status = 409, description = "It does not wait")))]
async fn approve(State(state): State<ApiState>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    let id: AgentId = name_in_path(&id)?;
    state.app.decide_enrolment(&caller, &id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Turns a host away that waits.
#[utoipa::path(post, path = "/api/v1/agents/{id}/reject", tag = "enrolment", params(("id" = String, Path)),
    responses((status = 204, description = "Turned away"), (status = 404, description = "None waits"), (status = 409, description = "It does not wait")))]
async fn reject(State(state): State<ApiState>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    let id: AgentId = name_in_path(&id)?;
    state.app.decide_enrolment(&caller, &id, false).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Takes an agent's identity back, at once.
#[utoipa::path(post, path = "/api/v1/agents/{id}/revoke", tag = "enrolment", params(("id" = String, Path)),
    responses((status = 204, description = "Taken back"), (status = 404, description = "It has none"),
        (status = 503, description = "The API refuses it, but RabbitMQ could not be told")))]
async fn revoke(State(state): State<ApiState>, caller: Caller, Path(id): Path<String>) -> Result<StatusCode, ApiError> {
    let id: AgentId = name_in_path(&id)?;
    state.app.revoke_agent(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives an agent its next certificate; it shows its present one.
#[utoipa::path(post, path = "/api/v1/agents/{id}/certificate", tag = "enrolment", params(("id" = String, Path)),
    request_body(content = crate::api::bodies::CertificateRenewal, description = "{certificate_request}"),
    responses((status = 200, body = shapes::IdentityGrant, description = "{id, certificate, authority, task_key, issued_at_ms, expires_at_ms, labels}"),
        (status = 400, description = "The certificate request is none"), (status = 403, description = "It is not the agent itself that asks")))]
async fn renew(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(request): JsonBody<RenewalRequest>,
) -> Result<Json<IdentityGrant>, ApiError> {
    let id: AgentId = name_in_path(&id)?;
    if caller.agent.as_ref() != Some(&id) {
        return Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "not-that-agent",
            "an agent's certificate is renewed by the agent alone",
        ));
    }
    Ok(Json(state.app.renew_identity(&id, caller.serial.as_deref(), &request).await?))
}
