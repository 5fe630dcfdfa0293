//! Who makes a request: a token, as each door's clients send it.

use std::sync::{PoisonError, RwLock};

use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use conductor_model::Timestamp;
use rustc_hash::FxHashMap;

use super::ApiError;
use super::limits::{CALLERS_CACHED_MAX, CALLERS_CACHED_MS};
use super::state::ApiState;
use crate::app::trust::NotAdmitted;
use crate::app::{Caller, TokenDigest, token_digest};
use crate::listen::{Peer, PeerCertificate};

/// Callers that were looked up lately, by the digest of their token.
#[derive(Debug, Default)]
pub(super) struct Callers(RwLock<FxHashMap<TokenDigest, (Caller, Timestamp)>>);

impl Callers {
    fn get(&self, digest: &TokenDigest, now: Timestamp) -> Option<Caller> {
        let callers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        callers.get(digest).filter(|(_, seen)| now.ms_since(*seen) < CALLERS_CACHED_MS).map(|(caller, _)| caller.clone())
    }

    fn put(&self, digest: TokenDigest, caller: Caller, now: Timestamp) {
        let mut callers = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if callers.len() >= CALLERS_CACHED_MAX {
            callers.clear();
        }
        callers.insert(digest, (caller, now));
    }
}

/// Whether a route answers without a token: probes, scrapes, the documentation, where tokens are shown, and how hosts join.
fn is_public(method: &Method, path: &str) -> bool {
    match path {
        "/"
        | "/health"
        | "/api/health"
        | "/metrics"
        | "/actuator/prometheus"
        | "/api/openapi.json"
        | "/api-docs"
        | "/docs"
        | "/swagger-ui"
        | "/swagger-ui/"
        | "/swagger-ui/index.html"
        | "/install"
        | "/api/v1/authority" => method == Method::GET || method == Method::HEAD,
        "/api/v1/enrolments" => method == Method::POST,
        "/api/token" => true,
        _ => path.starts_with("/docs/") || path.starts_with("/packages/"),
    }
}

/// Lets only requests with a valid token pass, and says whose they are.
pub(super) async fn require_token(state: &ApiState, mut request: Request, next: Next) -> Response {
    if is_public(request.method(), request.uri().path()) {
        return next.run(request).await;
    }
    let certificate = request.extensions().get::<ConnectInfo<Peer>>().and_then(|ConnectInfo(peer)| peer.certificate.clone());
    let caller = match &certificate {
        Some(certificate) => agent_of(state, certificate, request.method(), request.uri().path()),
        None => caller_of(state, request.headers()).await,
    };
    match caller {
        Ok(caller) => {
            tracing::Span::current().record("caller", &*caller.name);
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

/// The agent that shows a certificate, if it may do what it asks for.
fn agent_of(state: &ApiState, certificate: &PeerCertificate, method: &Method, path: &str) -> Result<Caller, ApiError> {
    let PeerCertificate { agent, serial } = certificate;
    let refused = |code: &'static str, why: &str| {
        let hint = "let the host in again: `conductor agents token create`, then `conductor-agent enroll --again STRING` on it";
        ApiError::new(StatusCode::UNAUTHORIZED, code, format!("the certificate of agent {agent} {why}")).hint(hint)
    };
    let tenant = state.app.trust().admit(agent, serial, crate::clock::now()).map_err(|why| match why {
        NotAdmitted::Unknown => refused("certificate-unknown", "is not known to this manager, or was replaced by a later one"),
        NotAdmitted::Revoked => refused("certificate-revoked", "was revoked"),
        NotAdmitted::Expired => refused("certificate-expired", "has expired"),
    })?;
    if is_for_agents(method, path, agent.as_str()) {
        Ok(Caller { tenant, name: format!("agent {agent}").into(), agent: Some(agent.clone()), serial: Some(serial.clone()) })
    } else {
        let message = format!("agent {agent} may not {method} {path}");
        Err(ApiError::new(StatusCode::FORBIDDEN, "not-for-agents", message).hint("agents may reach what their tasks need"))
    }
}

/// Whether an agent may do this: what concerns itself, plugins, files and runtime properties.
fn is_for_agents(method: &Method, path: &str, agent: &str) -> bool {
    let is_read = method == Method::GET || method == Method::HEAD;
    if let Some(rest) = path.strip_prefix("/api/v1/agents/") {
        let (id, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let is_own =
            rest.is_empty() && (is_read || method == Method::PUT) || rest == "certificate" || rest.starts_with("tasks/");
        return id == agent && is_own;
    }
    is_read && path.starts_with("/api/v1/plugins")
        || path.starts_with("/api/v3.1/node-instances/") && (is_read || method == Method::PATCH)
        || path.starts_with("/resources/") && (is_read || method == Method::PUT)
}

async fn caller_of(state: &ApiState, headers: &HeaderMap) -> Result<Caller, ApiError> {
    let token = token_in(headers)?;
    let caller = caller_of_token(state, token).await?;
    match headers.get("tenant").map(|value| value.to_str()) {
        None => Ok(caller),
        Some(Ok(tenant)) if tenant == caller.tenant.as_str() => Ok(caller),
        Some(tenant) => Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "tenant-forbidden",
            format!("the token is not for tenant {:?}, which the Tenant header names", tenant.unwrap_or("?")),
        )
        .hint("leave the Tenant header out, or send a token of that tenant")),
    }
}

/// Whose token this is.
pub(super) async fn caller_of_token(state: &ApiState, token: &str) -> Result<Caller, ApiError> {
    let (digest, now) = (token_digest(token), crate::clock::now());
    if let Some(caller) = state.callers.get(&digest, now) {
        return Ok(caller);
    }
    let found = state.app.authenticate(token).await?;
    let caller = found.ok_or_else(|| ApiError::unauthenticated("the token is not valid"))?;
    state.callers.put(digest, caller.clone(), now);
    Ok(caller)
}

/// The token as any door's clients send it.
fn token_in(headers: &HeaderMap) -> Result<&str, ApiError> {
    for (name, scheme) in [("authorization", Some("bearer ")), ("x-authorization", None), ("authentication-token", None)] {
        let Some(value) = headers.get(name) else { continue };
        let text = value
            .to_str()
            .map_err(|_| ApiError::unauthenticated(format!("the {name} header has characters that no token has")))?
            .trim();
        let bare = match text.split_at_checked(7) {
            Some((head, rest)) if head.eq_ignore_ascii_case("bearer ") => rest.trim(),
            _ if scheme.is_some() => {
                return Err(ApiError::unauthenticated(format!("the {name} header is not of the form `Bearer TOKEN`")));
            }
            _ => text,
        };
        return if bare.is_empty() {
            Err(ApiError::unauthenticated(format!("the {name} header has no token")))
        } else {
            Ok(bare)
        };
    }
    Err(ApiError::unauthenticated("the request has no token"))
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| ApiError::unauthenticated("the request has no token"))
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(axum::http::HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    #[test]
    fn a_token_is_found_where_each_client_puts_it() {
        for (name, value) in [
            ("authorization", "Bearer t0ken"),
            ("authorization", "bearer t0ken"),
            ("x-authorization", "t0ken"),
            ("x-authorization", "Bearer t0ken"),
            ("authentication-token", "t0ken"),
        ] {
            assert_eq!(token_in(&headers(name, value)).unwrap(), "t0ken", "{name}: {value}");
        }
    }

    #[test]
    fn what_is_no_token_is_told_apart() {
        for (name, value, says) in [
            ("authorization", "Basic YWRtaW46YWRtaW4=", "Bearer TOKEN"),
            ("authorization", "Bearer ", "Bearer TOKEN"),
            ("x-authorization", "", "no token"),
            ("x-other", "t", "no token"),
        ] {
            let error = token_in(&headers(name, value)).unwrap_err();
            assert_eq!(error.status, StatusCode::UNAUTHORIZED);
            assert!(error.message.contains(says), "{}", error.message);
        }
    }

    #[test]
    fn an_agent_may_reach_what_its_tasks_need() {
        for (method, path) in [
            (Method::PUT, "/api/v1/agents/a"),
            (Method::POST, "/api/v1/agents/a/certificate"),
            (Method::GET, "/api/v1/agents/a/tasks/t/input"),
            (Method::GET, "/api/v1/plugins/by-digest/d/archive"),
            (Method::PATCH, "/api/v3.1/node-instances/a"),
            (Method::PUT, "/resources/artifacts/t/x"),
        ] {
            assert!(is_for_agents(&method, path, "a"), "{method} {path}");
        }
        for (method, path) in [
            (Method::PUT, "/api/v1/agents/b"),
            (Method::DELETE, "/api/v1/agents/a"),
            (Method::POST, "/api/v1/agents/a/approve"),
            (Method::GET, "/api/v1/agents"),
            (Method::POST, "/api/v1/plugins"),
            (Method::POST, "/api/workflow"),
            (Method::GET, "/api/secrets/x"),
            (Method::DELETE, "/resources/artifacts/t/x"),
        ] {
            assert!(!is_for_agents(&method, path, "a"), "{method} {path}");
        }
    }

    #[test]
    fn only_a_few_routes_are_public() {
        assert!(is_public(&Method::GET, "/health"));
        assert!(is_public(&Method::POST, "/api/token"));
        assert!(is_public(&Method::GET, "/docs/index.html"));
        for path in ["/api/workflow", "/api/v1/agents", "/resources/a/b/c", "/healthy", "/docsx"] {
            assert!(!is_public(&Method::GET, path), "{path}");
        }
    }
}
