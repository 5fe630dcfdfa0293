//! The contract between agent and plugin process: docs/PLUGIN-API.md in types.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Exit code that asks for another attempt (sysexits: EX_TEMPFAIL).
pub const EXIT_TRY_AGAIN: i32 = 75;
/// File descriptor of the event channel.
pub const EVENT_FD: i32 = 3;

/// The task as a plugin reads it: one JSON object on stdin (one-shot: then end of file; persistent: one per line).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PluginTask {
    /// The task's id; a key for making effects idempotent together with `attempt`.
    pub task_id: String,
    /// The workflow it belongs to.
    pub workflow_id: String,
    /// Reference name of the step.
    pub reference: String,
    /// Attempts made before, from 0.
    pub attempt: u32,
    /// The operation.
    pub operation: String,
    /// Its input.
    pub input: Value,
    /// The node instance that it works on.
    pub node_instance: String,
    /// The agent that runs it.
    pub agent: String,
}

/// One JSON line on the event channel. Lines that are no such object are kept as log lines with a warning.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PluginEvent {
    /// A log line.
    Log {
        /// `debug`, `info`, `warn` or `error`.
        #[serde(default)]
        level: Option<String>,
        /// The line.
        message: String,
    },
    /// How far the task is.
    Progress {
        /// 0 to 100.
        #[serde(default)]
        percent: Option<f64>,
        /// For people.
        #[serde(default)]
        message: Option<String>,
    },
    /// Adds keys to the task's output; a key given again replaces the earlier value.
    Output {
        /// The keys.
        values: Map<String, Value>,
    },
    /// Adds keys to the node instance's runtime properties; `null` removes a key.
    RuntimeProperties {
        /// The keys.
        values: Map<String, Value>,
    },
    /// A link for people, kept in the output under `links`.
    Link {
        /// What it leads to.
        name: String,
        /// Where.
        url: String,
    },
    /// A number about the task, kept in the output under `metrics`.
    Metric {
        /// Its name, with its unit last.
        name: String,
        /// Its value.
        value: f64,
    },
    /// A file below the working directory that is kept in the file store, listed in the output under `artifacts`.
    Artifact {
        /// Path relative to the working directory.
        path: String,
        /// Name in the store; the path unless given.
        #[serde(default)]
        name: Option<String>,
    },
    /// There was nothing to do: a success of its own kind.
    NotNeeded {
        /// Why.
        #[serde(default)]
        message: Option<String>,
    },
    /// Why it fails. The process should exit non-zero after it; `retryable` decides over exit codes other than 75.
    Error {
        /// Class of the error, as in `ConfigError`.
        #[serde(default)]
        class: Option<String>,
        /// For people.
        message: String,
        /// `false` = another attempt cannot help.
        #[serde(default)]
        retryable: Option<bool>,
    },
    /// Persistent mode only: the task that was read last is done. `success: false` needs an `error` before it.
    Done {
        /// The task's id, as read.
        task_id: String,
        /// How it went.
        success: bool,
    },
}
