//! What travels over RabbitMQ.
//!
//! ```text
//! exchange conductor.agents  (direct) --key AGENT_ID--> queue agent.AGENT_ID    one per agent, classic, durable
//! exchange conductor.inbound (direct) --key result----> queue conductor.result  (quorum where clustered)
//!                                     --key lease-----> queue conductor.lease   messages expire after one lease
//!                                     --key log-------> queue conductor.log
//! ```
//! The manager declares all of it. Messages are JSON, persistent, content type `application/json`.

use conductor_model::definition::ResourceLimits;
use conductor_model::{AgentId, LogLine, Outcome, PluginDigest, TaskId, TenantName, Timestamp, WorkflowId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Exchange that leads to agents; the routing key is the agent's id.
pub const EXCHANGE_AGENTS: &str = "conductor.agents";
/// Exchange that leads to the manager; the routing keys are below.
pub const EXCHANGE_INBOUND: &str = "conductor.inbound";
/// Routing key of [`FromAgentBody::Report`].
pub const KEY_RESULT: &str = "result";
/// Routing key of [`FromAgentBody::Lease`].
pub const KEY_LEASE: &str = "lease";
/// Routing key of [`FromAgentBody::Logs`].
pub const KEY_LOG: &str = "log";
/// Queue behind [`KEY_RESULT`].
pub const QUEUE_RESULT: &str = "conductor.result";
/// Queue behind [`KEY_LEASE`].
pub const QUEUE_LEASE: &str = "conductor.lease";
/// Queue behind [`KEY_LOG`].
pub const QUEUE_LOG: &str = "conductor.log";

/// The queue of one agent.
#[must_use]
pub fn agent_queue(agent: &AgentId) -> String {
    format!("agent.{agent}")
}

/// A message for an agent: some items, in order. Each item is handled and remembered for itself.
#[derive(Debug, Serialize, Deserialize)]
pub struct ToAgent {
    /// The protocol it is written in.
    pub protocol: u16,
    /// The manager's signature of [`signed_text`], in hexadecimal. From protocol 2 on.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub signature: String,
    /// The signature is good until then (manager's clock). From protocol 2 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// What to do: a JSON list of [`ToAgentItem`]. Its very bytes are signed.
    pub items: Box<RawValue>,
}

/// Messages to agents are signed from this protocol on.
pub const SIGNED_FROM_PROTOCOL: u16 = 2;

/// What the manager signs of a message: for whom, until when, and the bytes of the list of items. With them come the task, its
/// dispatch, plugin and digest, operation, input and limits, so that none of it can be changed, moved to another agent or used
/// again later.
#[must_use]
pub fn signed_text(agent: &AgentId, expires_at: Timestamp, items: &str) -> Vec<u8> {
    format!("conductor to-agent 2\n{agent}\n{expires_at}\n{items}").into_bytes()
}

/// One thing for an agent to do. Written as `{"task": …}` or `{"cancel": …}`: a tag beside the fields would have serde take
/// the input apart, which must pass unread.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToAgentItem {
    /// Run a task.
    Task(Box<TaskEnvelope>),
    /// End a task.
    Cancel(CancelOrder),
}

/// A task for an agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskEnvelope {
    /// Its id. With `dispatch` the key of de-duplication.
    pub task_id: TaskId,
    /// Counts how often the task was given out.
    pub dispatch: u32,
    /// The workflow it belongs to.
    pub workflow_id: WorkflowId,
    /// Owner.
    pub tenant: TenantName,
    /// Name of the workflow definition, for people.
    pub workflow_name: String,
    /// Reference name of the step, for people.
    pub reference: String,
    /// Name of the task definition, for people.
    pub definition_name: String,
    /// Attempts made before, from 0.
    pub attempt: u32,
    /// The plugin.
    pub plugin: PluginRef,
    /// Its operation.
    pub operation: String,
    /// The operation's input, a JSON object. Absent when it is too large for a message: then it is fetched from
    /// `GET /api/v1/agents/{id}/tasks/{task}/input`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Arc<RawValue>>,
    /// The node instance that it works on.
    pub node_instance: String,
    /// Longest run in ms from its start; the agent ends it then with outcome `timed-out`. Absent = no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_timeout_ms: Option<u64>,
    /// From TERM to KILL in ms.
    pub grace_ms: u64,
    /// What it may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<ResourceLimits>,
    /// Whether it may be begun again when nobody knows how far it came.
    pub idempotent: bool,
    /// Not to be begun after this moment (manager's clock).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_before: Option<Timestamp>,
    /// The incarnation that was chosen: an agent that has begun a new journal since knows nothing of what it may have begun,
    /// and leaves the order alone. Absent = any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<String>,
}

/// Which plugin, to the byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginRef {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its archive; what it is fetched and cached by.
    pub digest: PluginDigest,
}

/// An order to end a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CancelOrder {
    /// Which.
    pub task_id: TaskId,
    /// Which dispatch.
    pub dispatch: u32,
    /// Why, for people.
    pub reason: String,
}

/// A message from an agent.
#[derive(Debug, Serialize, Deserialize)]
pub struct FromAgent {
    /// The protocol it is written in.
    pub protocol: u16,
    /// Who sends it.
    pub agent: AgentId,
    /// Its incarnation.
    pub incarnation: String,
    /// The agent's clock when it sent it.
    pub sent_at: Timestamp,
    /// What it says.
    pub body: FromAgentBody,
}

/// What an agent says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum FromAgentBody {
    /// What became of tasks.
    Report {
        /// In order.
        events: Vec<TaskEvent>,
    },
    /// "These tasks are mine and alive."
    Lease(Lease),
    /// Log lines.
    Logs {
        /// Owner of the tasks.
        tenant: TenantName,
        /// In order.
        lines: Vec<LogLine>,
    },
}

/// What became of one task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskEvent {
    /// Which.
    pub task_id: TaskId,
    /// Which dispatch.
    pub dispatch: u32,
    /// The workflow it belongs to, as the envelope said.
    pub workflow_id: WorkflowId,
    /// What.
    pub event: TaskEventKind,
}

/// What can become of a task.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum TaskEventKind {
    /// Its process was started. Only said of tasks that run longer than a moment; `finished` says it too.
    Started {
        /// When, agent's clock.
        at: Timestamp,
    },
    /// How far it is.
    Progress {
        /// When, agent's clock.
        at: Timestamp,
        /// As the plugin said it.
        #[serde(skip_serializing_if = "Option::is_none")]
        percent: Option<f64>,
        /// As the plugin said it.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// It ended.
    Finished(TaskFinished),
}

/// How a task ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskFinished {
    /// How.
    pub outcome: Outcome,
    /// What the plugin reported. At most one message's worth; a larger output is put by
    /// `PUT /api/v1/agents/{id}/tasks/{task}/output` first and is absent here with `output_by_reference` set.
    #[serde(default)]
    pub output: Map<String, Value>,
    /// The output was put over REST.
    #[serde(default)]
    pub output_by_reference: bool,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Exit code of the process, where it exited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// When the process was started, agent's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended, agent's clock.
    pub ended_at: Timestamp,
    /// Number of log lines that the task wrote.
    #[serde(default)]
    pub log_lines: u64,
}

/// "These tasks are mine and alive." Sent every [`AgentWelcome::lease_interval_ms`](crate::agent_api::AgentWelcome) and at
/// once after a connection.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// Every task that the agent has and has not reported as finished and confirmed, with its dispatch.
    pub tasks: Vec<(TaskId, u32)>,
    /// Whether it takes no new work.
    pub draining: bool,
    /// Why, for people. Empty = it ends, or takes work.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Slots that are free.
    pub free_slots: u32,
    /// Tells the host as it was booted last from every other, a copy of its disk included. Empty = not known.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
}
