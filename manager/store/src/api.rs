//! The trait, and what it answers.

use std::fmt::Debug;
use std::sync::Arc;

use conductor_model::{
    AgentRecord, FeedEntry, LogLine, NodeInstance, PluginDigest, PluginName, PluginRecord, Schedule, ScheduleRun, Snapshot,
    TaskDef, TaskId, TaskRecord, TaskStatus, TenantName, Timestamp, WorkflowDef, WorkflowId, WorkflowRecord, WorkflowStatus,
};
use serde_json::Value;
use thiserror::Error;

use crate::batch::{Batch, LimitedStart, OutboxMessage};
use crate::document::{Document, DocumentKind, Putting};
use crate::revision::{DefinitionKind, Revision};
use crate::search::{Expr, Found, Search, TaskField, WorkflowField};

/// Runs of one schedule that are kept.
pub const SCHEDULE_RUNS_KEPT: usize = 1000;

/// Why a call failed.
#[derive(Clone, Debug, Error)]
pub enum StoreError {
    /// Another writer changed the workflow meanwhile: load it again and decide again.
    #[error("workflow {workflow} was changed by another writer")]
    Conflict {
        /// Which.
        workflow: WorkflowId,
    },
    /// The row exists already.
    #[error("{what} exists already")]
    Exists {
        /// What.
        what: String,
    },
    /// The definition is locked.
    #[error("the definition {} is locked", lock.name)]
    Locked {
        /// What it defines.
        kind: DefinitionKind,
        /// The lock.
        lock: Box<Document>,
    },
    /// A node instance was changed since the caller read it.
    #[error("version {stored} is stored, the update was made from version {sent}")]
    StaleVersion {
        /// The stored version.
        stored: u64,
        /// The version that the caller knew.
        sent: u64,
    },
    /// The database said no. The operation had no effect.
    #[error("{operation} failed: {message}")]
    Backend {
        /// What was tried.
        operation: &'static str,
        /// What the database said.
        message: String,
    },
    /// A stored row cannot be read.
    #[error("stored {what} cannot be read: {message}")]
    Corrupt {
        /// Which row.
        what: String,
        /// Why.
        message: String,
    },
    /// A search took longer than it may.
    #[error("the search was stopped after {seconds} seconds: too much would have to be looked at")]
    TooBroad {
        /// How long it may take.
        seconds: u64,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// A workflow as it is loaded to decide on it.
#[derive(Clone, Debug)]
pub struct StoredRun {
    /// Its record.
    pub workflow: WorkflowRecord,
    /// All its tasks, by `seq`.
    pub tasks: Vec<TaskRecord>,
    /// The definitions it runs by.
    pub snapshot: Arc<Snapshot>,
}

/// A workflow that is not over, without what only a decision on it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenWorkflow {
    /// Its id.
    pub id: WorkflowId,
    /// Owner.
    pub tenant: TenantName,
    /// Name of its definition.
    pub name: String,
    /// When it was started.
    pub created_at: Timestamp,
    /// When its own timeout is due.
    pub timer_at: Option<Timestamp>,
    /// 0 to 99.
    pub priority: u8,
    /// The key it is counted by against its definition's limit on running workflows.
    pub rate_limit_key: Option<String>,
    /// Whether it is held back by that limit.
    pub rate_limited: bool,
}

impl From<&WorkflowRecord> for OpenWorkflow {
    fn from(record: &WorkflowRecord) -> Self {
        Self {
            id: record.id,
            tenant: record.tenant.clone(),
            name: record.name.clone(),
            created_at: record.created_at,
            timer_at: record.timer_at,
            priority: record.priority,
            rate_limit_key: record.rate_limit_key.clone(),
            rate_limited: record.rate_limited,
        }
    }
}

/// Everything that is not finished: what the manager's memory is rebuilt from.
#[derive(Clone, Debug, Default)]
pub struct OpenWork {
    /// Each workflow that is not over.
    pub workflows: Vec<OpenWorkflow>,
    /// Each task that is not over, in workflows that are not over.
    pub tasks: Vec<TaskRecord>,
    /// Messages that the broker has not confirmed, by id.
    pub outbox: Vec<OutboxMessage>,
    /// All agents.
    pub agents: Vec<AgentRecord>,
    /// Hand-outs under a rate limit; those of a name by time.
    pub starts: Vec<LimitedStart>,
    /// All schedules.
    pub schedules: Vec<(TenantName, Schedule)>,
    /// The highest outbox id ever drawn.
    pub last_outbox_id: u64,
    /// The highest feed id ever drawn.
    pub last_feed_id: u64,
}

/// Which workflows a list shows. `None` = any.
#[derive(Clone, Debug, Default)]
pub struct WorkflowFilter {
    /// Name of the definition.
    pub name: Option<String>,
    /// One of these statuses; empty = any.
    pub statuses: Vec<WorkflowStatus>,
    /// The starter's id.
    pub correlation_id: Option<String>,
    /// Version of the definition.
    pub version: Option<i32>,
    /// Started at or after.
    pub started_from: Option<Timestamp>,
    /// Started before.
    pub started_before: Option<Timestamp>,
}

/// Which tasks a list shows. `None` = any.
#[derive(Clone, Debug, Default)]
pub struct TaskFilter {
    /// Of one workflow.
    pub workflow: Option<WorkflowId>,
    /// One of these statuses; empty = any.
    pub statuses: Vec<TaskStatus>,
    /// Name of the task definition.
    pub definition_name: Option<String>,
}

/// A stretch of a list, newest first. Lists page by key: `before` is the last id of the stretch before.
#[derive(Clone, Copy, Debug)]
pub struct Page<I> {
    /// Only ids lower than this one.
    pub before: Option<I>,
    /// Skip so many first (the Conductor API pages by offset).
    pub offset: u64,
    /// At most so many rows.
    pub limit: usize,
}

/// Called once with the result of a [`Store::submit`], on one of the store's threads. Must not block.
pub type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Where everything is kept.
pub trait Store: Send + Sync + Debug {
    /// Stores a batch in one transaction and calls `done` once it is durable or has failed. Batches are stored in the order
    /// in which they are submitted.
    fn submit(&self, batch: Batch, done: Done);

    /// Stores a batch and waits.
    ///
    /// # Errors
    /// As the store says; nothing of the batch is stored then.
    fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.submit(
            batch,
            Box::new(move |result| {
                let _ = sender.send(result);
            }),
        );
        receiver.recv().unwrap_or(Err(StoreError::Closed))
    }

    /// Everything that is not finished, of all tenants.
    fn open_work(&self) -> Result<OpenWork, StoreError>;
    /// A workflow with all its tasks, whatever its tenant (for the engine; commands check the tenant of what they load).
    fn load_run(&self, id: WorkflowId) -> Result<Option<StoredRun>, StoreError>;
    /// The newest workflow that was started with an idempotency key.
    fn workflow_by_idempotency_key(
        &self,
        tenant: &TenantName,
        name: &str,
        key: &str,
    ) -> Result<Option<WorkflowRecord>, StoreError>;

    /// One workflow, without its tasks.
    fn workflow(&self, tenant: &TenantName, id: WorkflowId) -> Result<Option<WorkflowRecord>, StoreError>;
    /// A workflow's tasks by `seq`, after `after_seq`, at most `limit`.
    fn workflow_tasks(
        &self,
        tenant: &TenantName,
        id: WorkflowId,
        after_seq: u32,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError>;
    /// One task.
    fn task(&self, tenant: &TenantName, id: TaskId) -> Result<Option<TaskRecord>, StoreError>;
    /// Workflows, newest first.
    fn workflows(
        &self,
        tenant: &TenantName,
        filter: &WorkflowFilter,
        page: Page<WorkflowId>,
    ) -> Result<Vec<WorkflowRecord>, StoreError>;
    /// How many workflows a filter matches, counted up to `at_most`.
    fn count_workflows(&self, tenant: &TenantName, filter: &WorkflowFilter, at_most: u64) -> Result<u64, StoreError>;
    /// Tasks, newest first. Those that are not over are looked for in workflows that are not over: no other has any.
    fn tasks(&self, tenant: &TenantName, filter: &TaskFilter, page: Page<TaskId>) -> Result<Vec<TaskRecord>, StoreError>;
    /// Workflows of all tenants that ended with a status before a moment, in any order, at most `limit`. One that another
    /// started as its own is not among them while that other is there: who looks at it looks at both.
    fn workflows_ended_before(
        &self,
        status: WorkflowStatus,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<(TenantName, WorkflowId)>, StoreError>;
    /// Searches workflows.
    fn search_workflows(
        &self,
        tenant: &TenantName,
        search: &Search<WorkflowField>,
    ) -> Result<Found<WorkflowRecord>, StoreError>;
    /// Searches tasks. As [`Store::tasks`], it may look for those that are not over in workflows that are not over alone.
    fn search_tasks(&self, tenant: &TenantName, search: &Search<TaskField>) -> Result<Found<TaskRecord>, StoreError>;
    /// The workflows of the newest tasks that match, each once; at most `tasks_at_most` tasks are looked at.
    fn workflows_of_tasks(
        &self,
        tenant: &TenantName,
        matching: &Expr<TaskField>,
        tasks_at_most: u64,
    ) -> Result<Vec<WorkflowId>, StoreError>;
    /// The snapshot with a digest.
    fn snapshot(&self, digest: &str) -> Result<Option<Arc<Snapshot>>, StoreError>;

    /// The last runs of one schedule, or of all of a tenant, newest first, at most `limit`. Of each schedule the last
    /// [`SCHEDULE_RUNS_KEPT`] are kept.
    fn schedule_runs(&self, tenant: &TenantName, schedule: Option<&str>, limit: usize) -> Result<Vec<ScheduleRun>, StoreError>;

    /// Feed entries after `after`, oldest first, at most `limit`.
    fn feed(&self, tenant: &TenantName, after: u64, limit: usize) -> Result<Vec<FeedEntry>, StoreError>;
    /// Drops feed entries up to and including `up_to`.
    fn trim_feed(&self, up_to: u64) -> Result<(), StoreError>;

    /// Appends log lines; a line whose (task, seq) is stored already is dropped.
    fn append_logs(&self, tenant: &TenantName, lines: Vec<LogLine>) -> Result<(), StoreError>;
    /// Appends lines of a polling worker, numbered behind what is stored.
    fn append_worker_logs(&self, tenant: &TenantName, task: TaskId, lines: Vec<(Timestamp, String)>) -> Result<(), StoreError>;
    /// A task's log lines with `seq` above `after`, at most `limit`.
    fn logs(&self, tenant: &TenantName, task: TaskId, after: u64, limit: usize) -> Result<Vec<LogLine>, StoreError>;

    /// Stores task definitions, new or again. All or none. What changes one is kept as a revision, and fails with `Locked`
    /// where a lock document has its name; who changed it and when is read from the definition.
    fn put_task_defs(&self, tenant: &TenantName, definitions: Vec<TaskDef>) -> Result<(), StoreError>;
    /// One task definition.
    fn task_def(&self, tenant: &TenantName, name: &str) -> Result<Option<TaskDef>, StoreError>;
    /// All task definitions, by name.
    fn task_defs(&self, tenant: &TenantName) -> Result<Vec<TaskDef>, StoreError>;
    /// Removes one; false = there was none. Fails with `Locked` as storing it does.
    fn delete_task_def(&self, tenant: &TenantName, name: &str, by: &str, at: Timestamp) -> Result<bool, StoreError>;

    /// Stores workflow definitions, all or none, as task definitions. Without `overwrite`, one that exists makes it fail with
    /// `Exists`.
    fn put_workflow_defs(&self, tenant: &TenantName, definitions: Vec<WorkflowDef>, overwrite: bool) -> Result<(), StoreError>;
    /// One workflow definition; the highest version where none is named.
    fn workflow_def(&self, tenant: &TenantName, name: &str, version: Option<i32>) -> Result<Option<WorkflowDef>, StoreError>;
    /// All workflow definitions, by name and version.
    fn workflow_defs(&self, tenant: &TenantName) -> Result<Vec<WorkflowDef>, StoreError>;
    /// Removes one version; false = there was none. Fails with `Locked` as storing it does.
    fn delete_workflow_def(
        &self,
        tenant: &TenantName,
        name: &str,
        version: i32,
        by: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// What was stored and removed under a name, the newest first: the last [`REVISIONS_KEPT`](crate::REVISIONS_KEPT) changes.
    fn revisions(&self, tenant: &TenantName, kind: DefinitionKind, name: &str) -> Result<Vec<Revision>, StoreError>;
    /// One of them, with what the definition said ([`unstamped`](crate::unstamped)); null where it was removed.
    fn revision(
        &self,
        tenant: &TenantName,
        kind: DefinitionKind,
        name: &str,
        number: u32,
    ) -> Result<Option<(Revision, Value)>, StoreError>;

    /// Stores a plugin. The same name and version with another digest fails with `Exists`; false = the digest was there.
    fn put_plugin(&self, plugin: PluginRecord) -> Result<bool, StoreError>;
    /// All plugins, by name and time of upload.
    fn plugins(&self, tenant: &TenantName) -> Result<Vec<PluginRecord>, StoreError>;
    /// A version of a plugin; the last uploaded where none is named.
    fn plugin(&self, tenant: &TenantName, name: &PluginName, version: Option<&str>)
    -> Result<Option<PluginRecord>, StoreError>;
    /// The plugin with this digest.
    fn plugin_by_digest(&self, tenant: &TenantName, digest: &PluginDigest) -> Result<Option<PluginRecord>, StoreError>;
    /// Removes one; false = there was none.
    fn delete_plugin(&self, tenant: &TenantName, digest: &PluginDigest) -> Result<bool, StoreError>;

    /// Stores a node instance that is new; one that exists is left and returned.
    fn ensure_node_instance(&self, instance: NodeInstance) -> Result<NodeInstance, StoreError>;
    /// One node instance.
    fn node_instance(&self, tenant: &TenantName, id: &str) -> Result<Option<NodeInstance>, StoreError>;
    /// All node instances, by id.
    fn node_instances(&self, tenant: &TenantName) -> Result<Vec<NodeInstance>, StoreError>;
    /// Stores a changed node instance: `instance.version` is the version that the caller read. It grows by one and the
    /// stored instance is returned. Fails with `StaleVersion` when the stored version is greater; `None` = there is none.
    fn update_node_instance(&self, instance: NodeInstance) -> Result<Option<NodeInstance>, StoreError>;

    /// Stores the hash of an API token.
    fn put_token(&self, hash: &str, tenant: &TenantName, name: &str, created_at: Timestamp) -> Result<(), StoreError>;
    /// Whose token has this hash: tenant and name.
    fn token(&self, hash: &str) -> Result<Option<(TenantName, String)>, StoreError>;
    /// How many tokens there are.
    fn count_tokens(&self) -> Result<u64, StoreError>;

    /// Stores a document; false = nothing was stored, because of what is or is not there.
    fn put_document(&self, document: Document, putting: Putting) -> Result<bool, StoreError>;
    /// One document; the highest version where none is named.
    fn document(
        &self,
        tenant: &TenantName,
        kind: DocumentKind,
        name: &str,
        version: Option<i32>,
    ) -> Result<Option<Document>, StoreError>;
    /// All documents of a kind, of one tenant or of all, by tenant, name and version.
    fn documents(&self, tenant: Option<&TenantName>, kind: DocumentKind) -> Result<Vec<Document>, StoreError>;
    /// Removes one version, or all; false = there was none.
    fn delete_document(
        &self,
        tenant: &TenantName,
        kind: DocumentKind,
        name: &str,
        version: Option<i32>,
    ) -> Result<bool, StoreError>;
    /// Whether an event was handled.
    fn is_event_handled(&self, key: &str) -> Result<bool, StoreError>;
    /// Notes that an event was handled at a moment, and forgets those that were handled before another.
    fn set_event_handled(&self, key: &str, at: Timestamp, forget_before: Timestamp) -> Result<(), StoreError>;

    /// Finishes what was submitted and closes. Later calls fail with `Closed`.
    fn close(&self);
}
