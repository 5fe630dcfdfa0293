//! Agents.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Client, ClientError};

/// A list of the manager's own API.
#[derive(Debug, Deserialize)]
pub(crate) struct Items<T> {
    pub(crate) items: Vec<T>,
}

/// One agent as the API shows it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct AgentView {
    /// Its id.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// `active`, `draining`, `offline`, `unsupported` or `quarantined`.
    pub state: String,
    /// Why it takes nothing new, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<String>,
    /// What operators say of it.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What it found out.
    #[serde(default)]
    pub facts: Map<String, Value>,
    /// How many tasks it runs at once.
    #[serde(default)]
    pub slots: u32,
    /// Its software version.
    #[serde(default)]
    pub version: String,
    /// When it was last heard of: ms since 1970, or a text in UTC.
    #[serde(default)]
    pub last_seen_at: Value,
    /// Set while it is to be given nothing new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cordon: Option<Value>,
    /// Ids of the tasks that it has.
    #[serde(default)]
    pub tasks: Vec<Value>,
}

impl Client {
    /// All agents.
    ///
    /// # Errors
    /// When the manager refuses or does not answer.
    pub async fn agents(&self) -> Result<Vec<AgentView>, ClientError> {
        Ok(self.call(Method::GET, &["api", "v1", "agents"], &[]).read::<Items<AgentView>>().await?.items)
    }

    /// One agent.
    ///
    /// # Errors
    /// When there is none.
    pub async fn agent(&self, id: &str) -> Result<AgentView, ClientError> {
        self.call(Method::GET, &["api", "v1", "agents", id], &[]).read().await
    }

    /// Gives an agent nothing new from now on.
    ///
    /// # Errors
    /// When there is none.
    pub async fn cordon_agent(&self, id: &str, reason: Option<&str>) -> Result<(), ClientError> {
        let body = serde_json::json!({ "reason": reason });
        self.call(Method::PUT, &["api", "v1", "agents", id, "cordon"], &[]).json(&body).done().await
    }

    /// Lets an agent be given tasks again.
    ///
    /// # Errors
    /// When there is none.
    pub async fn uncordon_agent(&self, id: &str) -> Result<(), ClientError> {
        self.call(Method::DELETE, &["api", "v1", "agents", id, "cordon"], &[]).done().await
    }

    /// Forgets an agent; with `force` also while it has tasks, which are lost.
    ///
    /// # Errors
    /// When there is none, or it has tasks.
    pub async fn remove_agent(&self, id: &str, force: bool) -> Result<(), ClientError> {
        let query = [("force", force.to_string())];
        self.call(Method::DELETE, &["api", "v1", "agents", id], &query).done().await
    }

    /// One agent as the API gives it.
    ///
    /// # Errors
    /// When there is none.
    pub async fn agent_json(&self, id: &str) -> Result<Value, ClientError> {
        self.call(Method::GET, &["api", "v1", "agents", id], &[]).read().await
    }
}
