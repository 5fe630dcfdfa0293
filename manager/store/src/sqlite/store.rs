//! The trait on SQLite: who reads, who writes, and which room does it.

use std::path::Path;
use std::sync::Arc;

use conductor_model::{
    FeedEntry, LogLine, NodeInstance, PluginDigest, PluginName, PluginRecord, ScheduleRun, Snapshot, TaskDef, TaskId,
    TaskRecord, TenantName, Timestamp, WorkflowDef, WorkflowId, WorkflowRecord, WorkflowStatus,
};
use rusqlite::Connection;
use serde_json::Value;

use super::codec::During;
use super::counters::Counter;
use super::open::OpenError;
use super::readers::Readers;
use super::writer::{Job, Writer};
use super::{
    agents, batch, definitions, documents, feed, limited_starts, logs, node_instances, open, outbox, plugins, revisions,
    schedules, search, snapshots, tasks, tokens, workflows,
};
use crate::search::{Expr, Found, Search, TaskField, WorkflowField};
use crate::{
    Batch, DefinitionKind, Document, DocumentKind, Done, OpenWork, Page, Putting, Revision, Store, StoreError, StoredRun,
    TaskFilter, WorkflowFilter,
};

/// Keeps everything in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Writer,
    readers: Readers,
}

impl SqliteStore {
    /// Opens the database at `path`, making it where there is none, and brings its schema up to date. Its folder must exist.
    ///
    /// # Errors
    /// When the file cannot be opened, is not ours, or was written by a newer program.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let (connection, flush) = open::writer(path)?;
        let writer = Writer::start(connection, flush)?;
        Ok(Self { writer, readers: Readers::new(path.to_owned()) })
    }

    /// Reads several things as they stood at one moment.
    fn read_snapshot<T>(&self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        self.readers.read(|connection| {
            // Dropped without a commit, which ends a reading transaction just as well.
            let transaction = connection.unchecked_transaction().during("begin to read")?;
            work(&transaction)
        })
    }
}

impl Store for SqliteStore {
    fn submit(&self, batch: Batch, done: Done) {
        self.writer.submit(Job { work: Box::new(move |connection, words| batch::write(connection, words, batch)), done });
    }

    fn open_work(&self) -> Result<OpenWork, StoreError> {
        self.writer.check()?;
        self.read_snapshot(|connection| {
            Ok(OpenWork {
                workflows: workflows::open(connection)?,
                tasks: tasks::open(connection)?,
                outbox: outbox::all(connection)?,
                agents: agents::all(connection)?,
                starts: limited_starts::all(connection)?,
                schedules: schedules::every(connection)?,
                last_outbox_id: Counter::Outbox.highest(connection)?,
                last_feed_id: Counter::Feed.highest(connection)?,
            })
        })
    }

    fn load_run(&self, id: WorkflowId) -> Result<Option<StoredRun>, StoreError> {
        self.read_snapshot(|connection| {
            let Some(workflow) = workflows::any(connection, id)? else { return Ok(None) };
            let snapshot = snapshots::get(connection, &workflow.snapshot)?.ok_or_else(|| StoreError::Corrupt {
                what: format!("snapshot {} of workflow {id}", workflow.snapshot),
                message: "it is missing".to_owned(),
            })?;
            Ok(Some(StoredRun { tasks: tasks::of_run(connection, id)?, workflow, snapshot }))
        })
    }

    fn workflow_by_idempotency_key(
        &self,
        tenant: &TenantName,
        name: &str,
        key: &str,
    ) -> Result<Option<WorkflowRecord>, StoreError> {
        self.read_snapshot(|connection| workflows::by_idempotency_key(connection, tenant, name, key))
    }

    fn workflow(&self, tenant: &TenantName, id: WorkflowId) -> Result<Option<WorkflowRecord>, StoreError> {
        self.read_snapshot(|connection| workflows::get(connection, tenant, id))
    }

    fn workflow_tasks(
        &self,
        tenant: &TenantName,
        id: WorkflowId,
        after_seq: u32,
        limit: usize,
    ) -> Result<Vec<TaskRecord>, StoreError> {
        self.read_snapshot(|connection| tasks::of_workflow(connection, tenant, id, after_seq, limit))
    }

    fn task(&self, tenant: &TenantName, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
        self.read_snapshot(|connection| tasks::get(connection, tenant, id))
    }

    fn workflows(
        &self,
        tenant: &TenantName,
        filter: &WorkflowFilter,
        page: Page<WorkflowId>,
    ) -> Result<Vec<WorkflowRecord>, StoreError> {
        self.read_snapshot(|connection| workflows::list(connection, tenant, filter, page))
    }

    fn count_workflows(&self, tenant: &TenantName, filter: &WorkflowFilter, at_most: u64) -> Result<u64, StoreError> {
        self.readers.read(|connection| workflows::count(connection, tenant, filter, at_most))
    }

    fn workflows_ended_before(
        &self,
        status: WorkflowStatus,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<(TenantName, WorkflowId)>, StoreError> {
        self.readers.read(|connection| workflows::ended_before(connection, status, before, limit))
    }

    fn tasks(&self, tenant: &TenantName, filter: &TaskFilter, page: Page<TaskId>) -> Result<Vec<TaskRecord>, StoreError> {
        self.read_snapshot(|connection| tasks::list(connection, tenant, filter, page))
    }

    fn search_workflows(
        &self,
        tenant: &TenantName,
        wanted: &Search<WorkflowField>,
    ) -> Result<Found<WorkflowRecord>, StoreError> {
        self.read_snapshot(|connection| search::search_workflows(connection, tenant, wanted))
    }

    fn search_tasks(&self, tenant: &TenantName, wanted: &Search<TaskField>) -> Result<Found<TaskRecord>, StoreError> {
        self.read_snapshot(|connection| search::search_tasks(connection, tenant, wanted))
    }

    fn workflows_of_tasks(
        &self,
        tenant: &TenantName,
        matching: &Expr<TaskField>,
        tasks_at_most: u64,
    ) -> Result<Vec<WorkflowId>, StoreError> {
        self.read_snapshot(|connection| search::workflows_of_tasks(connection, tenant, matching, tasks_at_most))
    }

    fn snapshot(&self, digest: &str) -> Result<Option<Arc<Snapshot>>, StoreError> {
        self.readers.read(|connection| snapshots::get(connection, digest))
    }

    fn schedule_runs(&self, tenant: &TenantName, schedule: Option<&str>, limit: usize) -> Result<Vec<ScheduleRun>, StoreError> {
        self.readers.read(|connection| schedules::runs(connection, tenant, schedule, limit))
    }

    fn feed(&self, tenant: &TenantName, after: u64, limit: usize) -> Result<Vec<FeedEntry>, StoreError> {
        self.readers.read(|connection| feed::after(connection, tenant, after, limit))
    }

    fn trim_feed(&self, up_to: u64) -> Result<(), StoreError> {
        self.writer.call(move |connection| feed::trim(connection, up_to))
    }

    fn append_logs(&self, tenant: &TenantName, lines: Vec<LogLine>) -> Result<(), StoreError> {
        let tenant = tenant.clone();
        self.writer.call(move |connection| logs::append(connection, &tenant, &lines))
    }

    fn append_worker_logs(&self, tenant: &TenantName, task: TaskId, lines: Vec<(Timestamp, String)>) -> Result<(), StoreError> {
        let tenant = tenant.clone();
        self.writer.call(move |connection| logs::append_worker(connection, &tenant, task, lines))
    }

    fn logs(&self, tenant: &TenantName, task: TaskId, after: u64, limit: usize) -> Result<Vec<LogLine>, StoreError> {
        self.readers.read(|connection| logs::after(connection, tenant, task, after, limit))
    }

    fn put_task_defs(&self, tenant: &TenantName, definitions: Vec<TaskDef>) -> Result<(), StoreError> {
        let tenant = tenant.clone();
        self.writer.call(move |connection| definitions::put_tasks(connection, &tenant, &definitions))
    }

    fn task_def(&self, tenant: &TenantName, name: &str) -> Result<Option<TaskDef>, StoreError> {
        self.readers.read(|connection| definitions::task(connection, tenant, name))
    }

    fn task_defs(&self, tenant: &TenantName) -> Result<Vec<TaskDef>, StoreError> {
        self.readers.read(|connection| definitions::tasks(connection, tenant))
    }

    fn delete_task_def(&self, tenant: &TenantName, name: &str, by: &str, at: Timestamp) -> Result<bool, StoreError> {
        let (tenant, name, by) = (tenant.clone(), name.to_owned(), by.to_owned());
        self.writer.call(move |connection| definitions::delete_task(connection, &tenant, &name, &by, at))
    }

    fn put_workflow_defs(&self, tenant: &TenantName, definitions: Vec<WorkflowDef>, overwrite: bool) -> Result<(), StoreError> {
        let tenant = tenant.clone();
        self.writer.call(move |connection| definitions::put_workflows(connection, &tenant, &definitions, overwrite))
    }

    fn workflow_def(&self, tenant: &TenantName, name: &str, version: Option<i32>) -> Result<Option<WorkflowDef>, StoreError> {
        self.readers.read(|connection| definitions::workflow(connection, tenant, name, version))
    }

    fn workflow_defs(&self, tenant: &TenantName) -> Result<Vec<WorkflowDef>, StoreError> {
        self.readers.read(|connection| definitions::workflows(connection, tenant))
    }

    fn delete_workflow_def(
        &self,
        tenant: &TenantName,
        name: &str,
        version: i32,
        by: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let (tenant, name, by) = (tenant.clone(), name.to_owned(), by.to_owned());
        self.writer.call(move |connection| definitions::delete_workflow(connection, &tenant, &name, version, &by, at))
    }

    fn revisions(&self, tenant: &TenantName, kind: DefinitionKind, name: &str) -> Result<Vec<Revision>, StoreError> {
        self.readers.read(|connection| revisions::list(connection, tenant, kind, name))
    }

    fn revision(
        &self,
        tenant: &TenantName,
        kind: DefinitionKind,
        name: &str,
        number: u32,
    ) -> Result<Option<(Revision, Value)>, StoreError> {
        self.readers.read(|connection| revisions::get(connection, tenant, kind, name, number))
    }

    fn put_plugin(&self, plugin: PluginRecord) -> Result<bool, StoreError> {
        self.writer.call(move |connection| plugins::put(connection, &plugin))
    }

    fn plugins(&self, tenant: &TenantName) -> Result<Vec<PluginRecord>, StoreError> {
        self.readers.read(|connection| plugins::all(connection, tenant))
    }

    fn plugin(
        &self,
        tenant: &TenantName,
        name: &PluginName,
        version: Option<&str>,
    ) -> Result<Option<PluginRecord>, StoreError> {
        self.readers.read(|connection| plugins::get(connection, tenant, name, version))
    }

    fn plugin_by_digest(&self, tenant: &TenantName, digest: &PluginDigest) -> Result<Option<PluginRecord>, StoreError> {
        self.readers.read(|connection| plugins::by_digest(connection, tenant, digest))
    }

    fn delete_plugin(&self, tenant: &TenantName, digest: &PluginDigest) -> Result<bool, StoreError> {
        let (tenant, digest) = (tenant.clone(), digest.clone());
        self.writer.call(move |connection| plugins::delete(connection, &tenant, &digest))
    }

    fn ensure_node_instance(&self, instance: NodeInstance) -> Result<NodeInstance, StoreError> {
        self.writer.call(move |connection| node_instances::ensure(connection, instance))
    }

    fn node_instance(&self, tenant: &TenantName, id: &str) -> Result<Option<NodeInstance>, StoreError> {
        self.readers.read(|connection| node_instances::get(connection, tenant, id))
    }

    fn node_instances(&self, tenant: &TenantName) -> Result<Vec<NodeInstance>, StoreError> {
        self.readers.read(|connection| node_instances::all(connection, tenant))
    }

    fn update_node_instance(&self, instance: NodeInstance) -> Result<Option<NodeInstance>, StoreError> {
        self.writer.call(move |connection| node_instances::update(connection, instance))
    }

    fn put_token(&self, hash: &str, tenant: &TenantName, name: &str, created_at: Timestamp) -> Result<(), StoreError> {
        let (hash, tenant, name) = (hash.to_owned(), tenant.clone(), name.to_owned());
        self.writer.call(move |connection| tokens::put(connection, &hash, &tenant, &name, created_at))
    }

    fn token(&self, hash: &str) -> Result<Option<(TenantName, String)>, StoreError> {
        self.readers.read(|connection| tokens::get(connection, hash))
    }

    fn count_tokens(&self) -> Result<u64, StoreError> {
        // How the store is, is asked by this.
        self.writer.check()?;
        self.readers.read(tokens::count)
    }

    fn put_document(&self, document: Document, putting: Putting) -> Result<bool, StoreError> {
        self.writer.call(move |connection| documents::put(connection, &document, putting))
    }

    fn document(
        &self,
        tenant: &TenantName,
        kind: DocumentKind,
        name: &str,
        version: Option<i32>,
    ) -> Result<Option<Document>, StoreError> {
        self.readers.read(|connection| documents::get(connection, tenant, kind, name, version))
    }

    fn documents(&self, tenant: Option<&TenantName>, kind: DocumentKind) -> Result<Vec<Document>, StoreError> {
        self.readers.read(|connection| documents::all(connection, tenant, kind))
    }

    fn delete_document(
        &self,
        tenant: &TenantName,
        kind: DocumentKind,
        name: &str,
        version: Option<i32>,
    ) -> Result<bool, StoreError> {
        let (tenant, name) = (tenant.clone(), name.to_owned());
        self.writer.call(move |connection| documents::delete(connection, &tenant, kind, &name, version))
    }

    fn is_event_handled(&self, key: &str) -> Result<bool, StoreError> {
        self.readers.read(|connection| documents::is_handled(connection, key))
    }

    fn set_event_handled(&self, key: &str, at: Timestamp, forget_before: Timestamp) -> Result<(), StoreError> {
        let key = key.to_owned();
        self.writer.call(move |connection| documents::set_handled(connection, &key, at, forget_before))
    }

    fn close(&self) {
        self.writer.close();
        self.readers.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_follows_from_what_the_disk_may_not_have() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let (connection, _) = open::writer(&path).unwrap();
        let writer = Writer::start(connection, Box::new(|| Err(std::io::Error::other("the disk is gone")))).unwrap();
        let store = SqliteStore { writer, readers: Readers::new(path) };
        assert!(store.open_work().is_ok());
        let refused = store.writer.call(|_| Ok(())).unwrap_err().to_string();
        assert!(refused.contains("the disk is gone") && refused.contains("restart the manager"), "{refused}");
        assert!(store.open_work().is_err(), "the deciding thread would begin again with it");
        assert!(store.count_tokens().is_err(), "whoever asks for the manager's health would hear that all is well");
        assert!(store.writer.call(|_| Ok(())).is_err());
    }
}
