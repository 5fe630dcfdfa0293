//! The messages.

use std::path::PathBuf;
use std::sync::Arc;

use conductor_agent_core::{ProcessMark, TaskKey, TaskResult};
use conductor_model::definition::ResourceLimits;
use conductor_model::{AgentId, TaskId, TenantName, Timestamp, WorkflowId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The protocol that is written here. Both ends say theirs; others are refused.
pub const RUNNER_PROTOCOL: u16 = 1;

/// What the agent says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToRunner {
    /// Who it is; the first message.
    Hello(AgentGreeting),
    /// The first message of a connection for the bytes of one file, which follow, or come from the other end.
    Transfer(TransferGreeting),
    /// Run a task. One that is known already is not begun again.
    Start(Box<Order>),
    /// End a task.
    Stop {
        /// Which.
        key: TaskKey,
        /// Why, for people.
        reason: String,
    },
    /// These are safe with the agent, or further on: they need not be kept any longer.
    Taken(Taken),
    /// What became of [`FromRunner::Properties`].
    Stored {
        /// Whose.
        key: TaskKey,
        /// Whether they are stored. Otherwise they travel with the result.
        done: bool,
    },
    /// The answer to [`FromRunner::Ask`].
    Answer {
        /// To which.
        ask: u64,
        /// What was asked for, or why there is no answer, in words for people.
        answer: Result<Value, String>,
    },
    /// Kill what an earlier life of the runner left of these tasks, and say [`FromRunner::Swept`].
    Sweep(Vec<LeftOver>),
    /// End all tasks of the agent.
    StopAll,
    /// End all tasks, bring everything home and end.
    End,
}

/// What the runner says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FromRunner {
    /// Who it is and what it has; the first message. Results that were not taken follow.
    Hello(RunnerGreeting),
    /// A task was begun.
    Started {
        /// Which.
        key: TaskKey,
        /// When.
        at: Timestamp,
        /// In which process; absent where one serves many tasks.
        process: Option<ProcessMark>,
    },
    /// How far a task is.
    Progress {
        /// Which.
        key: TaskKey,
        /// When.
        at: Timestamp,
        /// 0 to 100.
        percent: Option<f64>,
        /// For people.
        message: Option<String>,
    },
    /// Log lines of one tenant, filled as far as one message to the manager may be.
    Lines(Lines),
    /// Runtime properties to be stored while the task runs.
    Properties {
        /// Whose.
        key: TaskKey,
        /// Of which node instance.
        instance: String,
        /// The changes; `null` removes a key.
        values: Map<String, Value>,
    },
    /// A task ended. Said again to each new connection until it is taken.
    Ended {
        /// Which.
        key: TaskKey,
        /// How.
        result: Box<TaskResult>,
    },
    /// Something that a task wants of the manager.
    Ask {
        /// Names the question in its answer.
        ask: u64,
        /// What.
        question: Question,
    },
    /// What was to be swept is gone.
    Swept,
    /// What became of the bytes of a [transfer](ToRunner::Transfer): all are written, or why they are not, for people.
    Transferred(Result<(), String>),
}

/// Who an agent is.
#[derive(Debug, Serialize, Deserialize)]
pub struct AgentGreeting {
    /// The protocol that it speaks.
    pub protocol: u16,
    /// Its id: each agent has tasks and folders of its own.
    pub agent: AgentId,
}

/// For which question bytes are moved. Agent and runner may be different users, so neither opens files for the other.
#[derive(Debug, Serialize, Deserialize)]
pub struct TransferGreeting {
    /// Whose question.
    pub agent: AgentId,
    /// Which.
    pub ask: u64,
}

/// Who a runner is, and what it has of the agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunnerGreeting {
    /// The protocol that it speaks.
    pub protocol: u16,
    /// Drawn at random when it began with nothing. As long as it is the same, a task that is neither told of here nor was
    /// taken has never been begun.
    pub life: String,
    /// The runner's version.
    pub version: String,
    /// Tasks that run or whose result was not taken.
    pub tasks: Vec<TaskKey>,
}

/// A task to run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Which.
    pub key: TaskKey,
    /// The workflow it belongs to.
    pub workflow_id: WorkflowId,
    /// Owner.
    pub tenant: TenantName,
    /// Reference name of the step.
    pub reference: String,
    /// Attempts made before.
    pub attempt: u32,
    /// Where the plugin lies, unpacked.
    pub plugin_dir: PathBuf,
    /// SHA-256 of its archive.
    pub plugin_digest: String,
    /// Its operation.
    pub operation: String,
    /// The operation's input.
    pub input: Arc<RawValue>,
    /// Values in the input that must not leave the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// The node instance that it works on.
    pub node_instance: String,
    /// Longest run in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_timeout_ms: Option<u64>,
    /// From TERM to KILL in ms.
    pub grace_ms: u64,
    /// What it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ResourceLimits>,
}

/// What is safe.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Taken {
    /// Results that are on disk.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<TaskKey>,
    /// Batches of log lines that the broker has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<u64>,
}

impl Taken {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ended.is_empty() && self.lines.is_empty()
    }
}

/// Log lines.
#[derive(Debug, Serialize, Deserialize)]
pub struct Lines {
    /// Names the batch when it is taken.
    pub batch: u64,
    /// Owner of the tasks.
    pub tenant: TenantName,
    /// `conductor_model::LogLine`s, a JSON array that passes unread.
    pub lines: Box<RawValue>,
}

/// What may be left of a task.
#[derive(Debug, Serialize, Deserialize)]
pub struct LeftOver {
    /// The task.
    pub task_id: TaskId,
    /// Its process, where it had come that far.
    pub process: Option<ProcessMark>,
}

/// What tasks ask of the manager.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    /// Runtime properties of a node instance.
    Properties {
        /// Which.
        instance: String,
    },
    /// Set runtime properties; `null` removes.
    Merge {
        /// Of which node instance.
        instance: String,
        /// The changes.
        changes: Map<String, Value>,
    },
    /// Fetch a file of the store: its bytes go over a connection of their own.
    Download {
        /// Its path there.
        path: String,
    },
    /// Store a file of a task, whose bytes come over a connection of their own; the answer says where.
    Artifact {
        /// Owner.
        tenant: TenantName,
        /// The task.
        task: TaskId,
        /// Its name in the store.
        name: String,
        /// How long it is.
        bytes: u64,
    },
}
