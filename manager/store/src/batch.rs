//! What is stored in one transaction.

use std::sync::Arc;

use conductor_engine::TaskChange;
use conductor_model::{
    AgentId, AgentRecord, FeedEntry, Schedule, ScheduleRun, Snapshot, TaskId, TenantName, Timestamp, WorkflowId, WorkflowRecord,
};

/// A message for the broker that is not yet known to have arrived there.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxMessage {
    /// Grows with each message; drawn by the caller.
    pub id: u64,
    /// Owner.
    pub tenant: TenantName,
    /// Whom it is for.
    pub agent: AgentId,
    /// The task it is about, so that a message whose task is over need not be sent.
    pub task: TaskId,
    /// What it is; see the manager's broker module.
    pub kind: OutboxKind,
    /// The item as JSON; several items travel in one message.
    pub body: Arc<str>,
}

/// What an outbox message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutboxKind {
    /// A task to run.
    Task,
    /// A task to end.
    Cancel,
}

/// What changed in one workflow, by one decision or by several that are stored together.
#[derive(Clone, Debug, Default)]
pub struct DecisionWrite {
    /// The workflow itself; `None` = only its tasks changed.
    pub workflow: Option<WorkflowWrite>,
    /// Its tasks that changed. A task's input is stored when the task is new and never again.
    pub tasks: Vec<TaskChange>,
    /// Stored tasks of it that are deleted, with their payloads and logs.
    pub removed: Vec<TaskId>,
}

/// A workflow's own row, new or changed.
#[derive(Clone, Debug)]
pub struct WorkflowWrite {
    /// The definitions that it runs by, when it is new or goes on by others; stored once per digest.
    pub snapshot: Option<Arc<Snapshot>>,
    /// The revision that is stored now, checked before anything is written; `None` = the workflow is new and is inserted.
    /// `record.revision` may be more than one higher: several decisions were merged.
    pub stored_revision: Option<u64>,
    /// The workflow as it stands now. Its input is stored when it is new, and again only with `input_replaced`.
    pub record: WorkflowRecord,
    /// Whether the workflow's input is stored again.
    pub input_replaced: bool,
}

/// One hand-out of a task under a rate limit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LimitedStart {
    /// Owner.
    pub tenant: TenantName,
    /// Name of the task definition.
    pub name: Arc<str>,
    /// When.
    pub at: Timestamp,
}

/// Several decisions that are stored together: all or none.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// In order.
    pub decisions: Vec<DecisionWrite>,
    /// Messages for agents.
    pub outbox: Vec<OutboxMessage>,
    /// Outbox messages that the broker has confirmed, or that are no longer wanted.
    pub outbox_done: Vec<u64>,
    /// Agents that changed.
    pub agents: Vec<AgentRecord>,
    /// Agents that are removed.
    pub agents_gone: Vec<AgentId>,
    /// Entries of the feed, in the order of their ids.
    pub feed: Vec<Arc<FeedEntry>>,
    /// Hand-outs under a rate limit.
    pub starts: Vec<LimitedStart>,
    /// Schedules that are new or changed, and those that are removed (`None`), by name.
    pub schedules: Vec<(TenantName, String, Option<Schedule>)>,
    /// What came of due moments of schedules.
    pub schedule_runs: Vec<(TenantName, ScheduleRun)>,
    /// Up to and with which moment earlier hand-outs of a name are dropped. Done before `starts` are stored.
    pub starts_over: Vec<LimitedStart>,
    /// Workflows that are deleted, after everything else of the batch is stored, with their tasks and all that belongs to
    /// them. One that is not there is no fault.
    pub workflows_removed: Vec<WorkflowId>,
}
