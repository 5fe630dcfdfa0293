//! One request and one answer, each a line of JSON.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest request or answer in bytes: the largest task input, with room.
pub const LINE_BYTES_MAX: usize = 2 * conductor_model::limits::TASK_PAYLOAD_BYTES_MAX;

/// Variable with the socket's path.
pub const SOCKET_VARIABLE: &str = "CONDUCTOR_CTX_SOCKET";
/// Variable with the token.
pub const TOKEN_VARIABLE: &str = "CONDUCTOR_CTX_TOKEN";

/// What `ctx` asks.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// For whom it speaks.
    pub token: String,
    /// What it wants.
    pub ask: Ask,
}

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// The id of the task's node instance.
    InstanceId,
    /// Runtime properties: all, or one.
    Properties {
        /// Whose; the task's own node instance unless given.
        instance: Option<String>,
        /// Which; `a.b` looks inside `a`.
        key: Option<String>,
    },
    /// Set a runtime property; `null` removes it.
    SetProperty {
        /// Whose; the task's own node instance unless given.
        instance: Option<String>,
        /// Which; `a.b` sets inside `a`.
        key: String,
        /// To what.
        value: Value,
    },
    /// A property of the node: `node_properties` in the task's input.
    NodeProperty {
        /// Which; all unless given.
        key: Option<String>,
    },
    /// The task's input: all, or one key.
    TaskInput {
        /// Which.
        key: Option<String>,
    },
    /// Fetch a file of the store.
    Download {
        /// Path below `/resources/`.
        path: String,
        /// Where to, absolute.
        target: String,
    },
    /// The host's first address.
    HostIp,
    /// Say something, as on the event channel.
    Say(Box<conductor_wire::plugin_io::PluginEvent>),
}

/// What the agent answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It was done; what was asked for.
    Ok(Value),
    /// It was not, and why.
    Error(String),
}
