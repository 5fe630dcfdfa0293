//! Letting hosts in as agents.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

use crate::agents::Items;
use crate::{Client, ClientError};

/// What an enrolment token shall be.
#[derive(Clone, Debug, Serialize)]
pub struct NewEnrolmentToken {
    /// Labels of every agent that it lets in.
    pub labels: BTreeMap<String, String>,
    /// The pool that they are in.
    pub pool: Option<String>,
    /// Its life, in seconds.
    pub ttl_seconds: u64,
    /// How many agents it may let in.
    pub uses: u32,
    /// Hosts' addresses, as in `10.0.0.0/8`; none = any.
    pub networks: Vec<String>,
    /// `automatic` or `manual`.
    pub approval: String,
}

impl Client {
    /// Makes an enrolment token; the answer has its `enrolment_string` and `installer`.
    ///
    /// # Errors
    /// When the manager refuses or does not answer.
    pub async fn create_enrolment_token(&self, new: &NewEnrolmentToken) -> Result<Value, ClientError> {
        self.call(Method::POST, &["api", "v1", "enrolment-tokens"], &[]).json(new).read().await
    }

    /// All enrolment tokens, without their secrets.
    ///
    /// # Errors
    /// When the manager refuses or does not answer.
    pub async fn enrolment_tokens(&self) -> Result<Vec<Value>, ClientError> {
        Ok(self.call(Method::GET, &["api", "v1", "enrolment-tokens"], &[]).read::<Items<Value>>().await?.items)
    }

    /// Deletes an enrolment token.
    ///
    /// # Errors
    /// When there is none.
    pub async fn delete_enrolment_token(&self, id: &str) -> Result<(), ClientError> {
        self.call(Method::DELETE, &["api", "v1", "enrolment-tokens", id], &[]).done().await
    }

    /// Says yes or no to a host that waits.
    ///
    /// # Errors
    /// When none waits.
    pub async fn decide_enrolment(&self, id: &str, is_approved: bool) -> Result<(), ClientError> {
        let action = if is_approved { "approve" } else { "reject" };
        self.call(Method::POST, &["api", "v1", "agents", id, action], &[]).done().await
    }

    /// Takes an agent's identity back.
    ///
    /// # Errors
    /// When it has none.
    pub async fn revoke_agent(&self, id: &str) -> Result<(), ClientError> {
        self.call(Method::POST, &["api", "v1", "agents", id, "revoke"], &[]).done().await
    }
}
