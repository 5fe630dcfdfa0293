//! The manager over REST: registration, plugins, large payloads, runtime properties, files.

mod backoff;
mod error;
mod files;
mod properties;

pub use backoff::Backoff;
pub use error::RestError;

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use conductor_model::{AgentId, TaskId};
use conductor_wire::agent_api::{AgentHello, AgentWelcome, HandedInput};
use conductor_wire::identity::{IdentityGrant, RenewalRequest};
use reqwest::{Certificate, Client, Method, RequestBuilder, Response};
use serde_json::{Map, Value};

use crate::identity::Identity;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest silence within an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections that are kept open when idle: the next request comes soon or not at all.
const IDLE_CONNECTIONS: usize = 2;
/// How long they are kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// The manager's REST doors, as this agent may use them.
#[derive(Clone, Debug)]
pub struct Rest {
    /// Another one once the agent has another certificate.
    http: RefCell<Client>,
    base: String,
    token: String,
    agent: AgentId,
}

impl Rest {
    /// A client for the manager at `base` (as in `http://127.0.0.1:8700`).
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn new(base: &str, token: &str, agent: AgentId) -> Result<Self, RestError> {
        let http = RefCell::new(client(None)?);
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), token: token.to_owned(), agent })
    }

    /// Shows this identity from now on, and believes its authority alone.
    ///
    /// # Errors
    /// When key and certificate cannot be used.
    pub fn use_identity(&self, identity: &Identity) -> Result<(), RestError> {
        let client = client(Some(identity))?;
        self.http.replace(client);
        Ok(())
    }

    /// Asks for the agent's next certificate.
    ///
    /// # Errors
    /// When the manager cannot be reached or refuses.
    pub async fn renew_certificate(&self, certificate_request: String) -> Result<IdentityGrant, RestError> {
        let path = format!("/api/v1/agents/{}/certificate", self.agent);
        let request = self.request(Method::POST, &path).json(&RenewalRequest { certificate_request });
        read_json(self.send(request, &path).await?, &path).await
    }

    /// Introduces the agent.
    ///
    /// # Errors
    /// When the manager cannot be reached or refuses.
    pub async fn register(&self, hello: &AgentHello) -> Result<AgentWelcome, RestError> {
        let path = format!("/api/v1/agents/{}", self.agent);
        let answer = self.send(self.request(Method::PUT, &path).json(hello), &path).await?;
        read_json(answer, &path).await
    }

    /// Fetches an input that was too large for its message, or that holds secrets.
    ///
    /// # Errors
    /// When the manager cannot be reached or refuses.
    pub async fn task_input(&self, task: TaskId) -> Result<HandedInput, RestError> {
        let path = format!("/api/v1/agents/{}/tasks/{task}/input?secrets=true", self.agent);
        let answer = self.send(self.request(Method::GET, &path), &path).await?;
        read_json(answer, &path).await
    }

    /// Puts an output that is too large for a message.
    ///
    /// # Errors
    /// When the manager cannot be reached or refuses.
    pub async fn put_output(&self, task: TaskId, output: &Map<String, Value>) -> Result<(), RestError> {
        let path = format!("/api/v1/agents/{}/tasks/{task}/output", self.agent);
        self.send(self.request(Method::PUT, &path).json(output), &path).await.map(drop)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.borrow().request(method, format!("{}{path}", self.base));
        // Who shows a certificate needs no token.
        if self.token.is_empty() { request } else { request.bearer_auth(&self.token) }
    }

    /// Sends a request and makes an error of every answer that is not a success.
    async fn send(&self, request: RequestBuilder, path: &str) -> Result<Response, RestError> {
        let answer = request.send().await.map_err(|source| RestError::Unreachable { path: path.to_owned(), source })?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap_or_default();
        Err(RestError::Refused { path: path.to_owned(), status, message: error::message_of(&body) })
    }
}

fn client(identity: Option<&Identity>) -> Result<Client, RestError> {
    let failed = |source| RestError::Client { source };
    let mut builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .no_proxy();
    if let Some(identity) = identity {
        let pem = format!("{}{}", identity.certificate, identity.key);
        builder = builder
            .tls_certs_only([Certificate::from_pem(identity.authority.as_bytes()).map_err(failed)?])
            .identity(reqwest::Identity::from_pem(pem.as_bytes()).map_err(failed)?);
    }
    builder.build().map_err(failed)
}

async fn read_json<T: serde::de::DeserializeOwned>(answer: Response, path: &str) -> Result<T, RestError> {
    let body: Bytes = answer.bytes().await.map_err(|source| RestError::Unreachable { path: path.to_owned(), source })?;
    serde_json::from_slice(&body).map_err(|source| RestError::Shape { path: path.to_owned(), source })
}
