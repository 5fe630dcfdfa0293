//! What agents send to and get from the manager over REST.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor_model::AgentId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// `PUT /api/v1/agents/{id}`: the agent introduces itself, at start and whenever labels, facts or slots changed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentHello {
    /// For people.
    pub name: String,
    /// What operators say of it.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What it found out.
    #[serde(default)]
    pub facts: Map<String, Value>,
    /// How many tasks it runs at once.
    pub slots: u32,
    /// Its software version.
    pub version: String,
    /// The newest protocol that it speaks.
    pub protocol: u16,
    /// Changes whenever its journal begins anew.
    pub incarnation: String,
}

/// The answer to [`AgentHello`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentWelcome {
    /// Who the agent is.
    pub id: AgentId,
    /// Where the broker is, as an AMQP URI.
    pub amqp_url: String,
    /// The queue to consume.
    pub queue: String,
    /// How often to renew the lease, in ms.
    pub lease_interval_ms: u64,
    /// After how many ms without a renewal the agent's tasks are given up.
    pub lease_ms: u64,
    /// The manager's clock, in ms since 1970.
    pub manager_time_ms: i64,
    /// How many messages to take ahead of the free slots.
    pub prefetch: u16,
    /// Whether the agent has a user of its own on the broker, in whose name it sends.
    #[serde(default)]
    pub own_account: bool,
    /// The key that tasks are verified with, in hexadecimal. An agent that was enrolled has it from there and does not
    /// believe this one.
    #[serde(default)]
    pub task_key: String,
}

/// The answer to `GET /api/v1/agents/{id}/tasks/{task}/input?secrets=true`: an input as it is handed over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HandedInput {
    /// The input, with everything looked up.
    pub input: Arc<RawValue>,
    /// Values of secrets in it. They must not leave the host again.
    #[serde(default)]
    pub secrets: Vec<String>,
}
