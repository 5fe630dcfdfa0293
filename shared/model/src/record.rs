//! Rows: workflows, tasks and log lines as they are decided, stored and shown. What says nothing is not
//! written: these rows are written more often than anything else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::definition::{ResourceLimits, TaskDef, TaskType, is_default};
use crate::ids::{TaskId, WorkflowId};
use crate::names::{AgentId, TenantName};
use crate::status::{Outcome, TaskStatus, WorkflowStatus};
use crate::time::Timestamp;

/// What is `null` is not written.
fn is_null(value: &Value) -> bool {
    value.is_null()
}

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
    /// Grows by one with each decision that changes the workflow itself; guards against lost updates.
    pub revision: u64,
    /// Where it stands.
    pub status: WorkflowStatus,
    /// When it was started.
    pub created_at: Timestamp,
    /// When it or one of its tasks last changed; up to a second behind its tasks while it runs.
    pub updated_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// When it was last retried; its timeout counts from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_retried_at: Option<Timestamp>,
    /// Input, after the definition's template.
    #[serde(default, skip_serializing_if = "is_null")]
    pub input: Arc<Value>,
    /// Output, once it ended.
    #[serde(default, skip_serializing_if = "is_null")]
    pub output: Arc<Value>,
    /// Variables.
    #[serde(default, skip_serializing_if = "is_null")]
    pub variables: Arc<Value>,
    /// The starter's own id for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// Starting again with the same key gives this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// 0 to 99; higher is polled and placed first.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: u8,
    /// Task type → domain, as given at the start.
    #[serde(default, skip_serializing_if = "is_default")]
    pub task_to_domain: BTreeMap<String, String>,
    /// The workflow that started it as a sub-workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_workflow_id: Option<WorkflowId>,
    /// The task that started it as a sub-workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_task_id: Option<TaskId>,
    /// Who started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Why it ended badly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// References of steps that failed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub failed_references: BTreeSet<String>,
    /// Names of task definitions that failed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub failed_task_names: BTreeSet<String>,
    /// The sequence number of the next task, at the least: the tasks' own numbers may have gone further.
    pub next_seq: u32,
    /// When the workflow's own timeout is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// Attempts made at this step before it, counted from 0 (`retryCount`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub attempt: u32,
    /// The attempt it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retried_task_id: Option<TaskId>,
    /// Whether another attempt followed it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub retried: bool,
    /// Round of the loop that it is in; 0 outside loops.
    #[serde(default, skip_serializing_if = "is_default")]
    pub iteration: u32,
    /// When it was scheduled.
    pub scheduled_at: Timestamp,
    /// When the first attempt at the step was scheduled.
    pub first_scheduled_at: Timestamp,
    /// Not to be polled or placed before this moment (start delay, retry delay, callback).
    pub visible_at: Timestamp,
    /// When a worker or agent started it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the first attempt that was started at the step was, where that was an attempt before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// When it was last heard of.
    pub updated_at: Timestamp,
    /// Seconds for which its worker asked to be left alone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub callback_after_seconds: i64,
    /// How often it was polled or sent out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub poll_count: u32,
    /// The worker or agent that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
    /// The domain of workers that may poll it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// From its workflow.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: u8,
    /// Resolved input.
    #[serde(default, skip_serializing_if = "is_null")]
    pub input: Arc<Value>,
    /// What it reported.
    #[serde(default, skip_serializing_if = "is_null")]
    pub output: Arc<Value>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Present when it runs on an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Box<AgentPart>>,
    /// When its earliest timeout is due. Worked out by the engine from the fields above and its definition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timer_at: Option<Timestamp>,
    /// When a timeout with policy ALERT_ONLY last raised an alert: what was due by then is not raised again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<AgentId>,
    /// Selector over labels and facts, resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<String>,
    /// Bounds on what it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ResourceLimits>,
    /// Whether it may run again after it was lost.
    #[serde(default, skip_serializing_if = "is_default")]
    pub idempotent: bool,
    /// Whose runtime properties it works on; absent = those of the agent that runs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_instance: Option<String>,
    /// The agent it was given to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<AgentId>,
    /// The incarnation of that agent when it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<String>,
    /// Runners-up of the placement.
    #[serde(default, skip_serializing_if = "is_default")]
    pub alternates: Vec<AgentId>,
    /// Counts how often it was given to an agent. What an agent says of an earlier dispatch is ignored.
    #[serde(default, skip_serializing_if = "is_default")]
    pub dispatch: u32,
    /// How often it was sent out again after it was lost.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lost_count: u32,
    /// When it was last given to an agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_at: Option<Timestamp>,
    /// Every agent that it was given to, the last one last: what such an agent still says of it is believed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub given_to: Vec<AgentId>,
}

impl AgentPart {
    /// The agent that has it, or had it last.
    #[must_use]
    pub fn last_holder(&self) -> Option<&AgentId> {
        self.assigned.as_ref().or_else(|| self.given_to.last())
    }

    /// Whether an agent has it or had it.
    #[must_use]
    pub fn was_given_to(&self, agent: &AgentId) -> bool {
        self.assigned.as_ref() == Some(agent) || self.given_to.contains(agent)
    }
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
