//! Rows: workflows, tasks, feed entries and log lines as they are decided, stored and shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::definition::{ResourceLimits, TaskDef, TaskType, is_default};
use crate::ids::{TaskId, WorkflowId};
use crate::names::{AgentId, TenantName};
use crate::status::{Outcome, TaskStatus, WorkflowStatus};
use crate::time::Timestamp;

/// One run of a workflow definition, without its tasks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkflowRecord {
    /// Its id.
    pub id: WorkflowId,
    /// Owner.
    pub tenant: TenantName,
    /// Name of its definition.
    pub name: String,
    /// Version of its definition.
    pub version: i32,
    /// Digest of the [`crate::Snapshot`] it runs by.
    pub snapshot: Arc<str>,
    /// Grows by one with each decision that changes the workflow or one of its tasks; guards against lost updates.
    pub revision: u64,
    /// Where it stands.
    pub status: WorkflowStatus,
    /// When it was started.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When it was last retried; its timeout counts from here.
    pub last_retried_at: Option<Timestamp>,
    /// Input, after the definition's template.
    pub input: Arc<Value>,
    /// Output, once it ended.
    pub output: Arc<Value>,
    /// Variables.
    pub variables: Arc<Value>,
    /// The starter's own id for it.
    pub correlation_id: Option<String>,
    /// Starting again with the same key gives this run.
    pub idempotency_key: Option<String>,
    /// 0 to 99; higher is polled and placed first.
    pub priority: u8,
    /// Task type → domain, as given at the start.
    pub task_to_domain: BTreeMap<String, String>,
    /// The workflow that started it as a sub-workflow.
    pub parent_workflow_id: Option<WorkflowId>,
    /// The task that started it as a sub-workflow.
    pub parent_task_id: Option<TaskId>,
    /// Who started it.
    pub created_by: Option<String>,
    /// Why it ended badly.
    pub reason: Option<String>,
    /// References of steps that failed.
    pub failed_references: BTreeSet<String>,
    /// Names of task definitions that failed.
    pub failed_task_names: BTreeSet<String>,
    /// The sequence number of the next task.
    pub next_seq: u32,
    /// When the workflow's own timeout is due.
    pub timer_at: Option<Timestamp>,
    /// Permissive steps that failed: the workflow goes on, and has failed at its end.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tolerated: u32,
    /// The event that started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Runs with the same key count together against the limit of its definition; `None` = there is no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit_key: Option<String>,
    /// Whether it waits for its turn before its first step.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rate_limited: bool,
}

/// One attempt at one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Its id.
    pub id: TaskId,
    /// The workflow it belongs to.
    pub workflow_id: WorkflowId,
    /// Owner.
    pub tenant: TenantName,
    /// Order of scheduling in its workflow, from 1.
    pub seq: u32,
    /// The step's reference name.
    pub reference: Arc<str>,
    /// What the step is.
    pub task_type: TaskType,
    /// Name of its task definition, which workers poll.
    pub definition_name: Arc<str>,
    /// Where it stands.
    pub status: TaskStatus,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Attempts made at this step before it, counted from 0 (`retryCount`).
    pub attempt: u32,
    /// The attempt it follows.
    pub retried_task_id: Option<TaskId>,
    /// Whether another attempt followed it.
    pub retried: bool,
    /// Round of the loop that it is in; 0 outside loops.
    pub iteration: u32,
    /// When it was scheduled.
    pub scheduled_at: Timestamp,
    /// When the first attempt at the step was scheduled.
    pub first_scheduled_at: Timestamp,
    /// Not to be polled or placed before this moment (start delay, retry delay, callback).
    pub visible_at: Timestamp,
    /// When a worker or agent started it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// When it was last heard of.
    pub updated_at: Timestamp,
    /// Seconds for which its worker asked to be left alone.
    pub callback_after_seconds: i64,
    /// How often it was polled or sent out.
    pub poll_count: u32,
    /// The worker or agent that has it.
    pub worker_id: Option<String>,
    /// The domain of workers that may poll it.
    pub domain: Option<String>,
    /// From its workflow.
    pub priority: u8,
    /// Resolved input.
    pub input: Arc<Value>,
    /// What it reported.
    pub output: Arc<Value>,
    /// Why it failed.
    pub reason: Option<String>,
    /// Present when it runs on an agent.
    pub agent: Option<Box<AgentPart>>,
    /// When its earliest timeout is due. Worked out by the engine from the fields above and its definition.
    pub timer_at: Option<Timestamp>,
    /// When a timeout with policy ALERT_ONLY last raised an alert: what was due by then is not raised again.
    #[serde(default)]
    pub alerted_at: Option<Timestamp>,
    /// Whether what follows from its end has been drawn. False on a task that is over: its workflow was paused.
    #[serde(default, skip_serializing_if = "is_default")]
    pub executed: bool,
    /// Whether the manager itself works on it now: a script, a request or a message.
    #[serde(default, skip_serializing_if = "is_default")]
    pub performing: bool,
    /// Counts how often the manager was told to work on it. What comes of an earlier turn is ignored.
    #[serde(default, skip_serializing_if = "is_default")]
    pub turn: u32,
    /// When the engine goes on with it by itself: the end of its start delay, or of a wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// The workflow that it runs or has started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_workflow_id: Option<WorkflowId>,
    /// What it runs by, where that was only found when it was scheduled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Arc<TaskDef>>,
}

/// What a task that runs on an agent has beside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentPart {
    /// `NAME` or `NAME@VERSION`.
    pub plugin: String,
    /// The plugin's operation.
    pub operation: String,
    /// The one agent that may run it.
    pub target: Option<AgentId>,
    /// Selector over labels and facts, resolved.
    pub requires: Option<String>,
    /// Bounds on what it may use.
    pub limits: Option<ResourceLimits>,
    /// Whether it may run again after it was lost.
    pub idempotent: bool,
    /// Whose runtime properties it works on; absent = those of the agent that runs it.
    pub node_instance: Option<String>,
    /// The agent it was given to.
    pub assigned: Option<AgentId>,
    /// The incarnation of that agent when it was given.
    pub incarnation: Option<String>,
    /// Runners-up of the placement.
    pub alternates: Vec<AgentId>,
    /// Counts how often it was given to an agent. What an agent says of an earlier dispatch is ignored.
    pub dispatch: u32,
    /// How often it was sent out again after it was lost.
    pub lost_count: u32,
    /// When it was last given to an agent.
    pub assigned_at: Option<Timestamp>,
}

/// One entry of the feed behind `/api/v1/events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeedEntry {
    /// Grows with each entry; where a reader resumes.
    pub id: u64,
    /// Owner.
    pub tenant: TenantName,
    /// When it happened.
    pub at: Timestamp,
    /// What happened, as in `task.completed`.
    pub kind: String,
    /// The workflow it happened to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<WorkflowId>,
    /// The task it happened to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// The agent it happened on or to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// Details, different for each kind.
    pub data: Value,
}

/// Where a log line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// The plugin's event channel or the agent itself.
    Event,
    /// A polling worker, over REST.
    Worker,
}

/// One line of a task's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// The task.
    pub task_id: TaskId,
    /// Order within the task, from 1. A line that is delivered twice has the same number.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// Where it came from.
    pub stream: LogStream,
    /// The line without its end.
    pub text: String,
}
