//! The trait on memory.

use std::ops::Bound;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use conductor_model::{
    FeedEntry, LogLine, LogStream, NodeInstance, PluginDigest, PluginName, PluginRecord, ScheduleRun, Snapshot, TaskDef,
    TaskId, TaskRecord, TenantName, Timestamp, WorkflowDef, WorkflowId, WorkflowRecord, WorkflowStatus,
};

use serde_json::Value;

use super::state::State;
use super::{filter, search};
use crate::search::{Expr, Found, Search, TaskField, WorkflowField};
use crate::{
    Batch, DefinitionKind, Document, DocumentKind, Done, OpenWork, OpenWorkflow, Page, Putting, Revision, Store, StoreError,
    StoredRun, TaskFilter, WorkflowFilter,
};

/// Keeps everything in this process's memory. Answers of [`Store::submit`] come on the caller's own thread.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    /// Batches that are still to fail, for tests of what follows then.
    to_fail: AtomicUsize,
}

type Result<T> = std::result::Result<T, StoreError>;

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the next batches fail as a full disk would: nothing of them is kept.
    pub fn fail_next_batches(&self, batches: usize) {
        self.to_fail.store(batches, Ordering::SeqCst);
    }

    fn fails(&self) -> bool {
        self.to_fail.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
    }

    fn open(&self) -> Result<MutexGuard<'_, State>> {
        // Everything is checked before the first change, so a panic leaves nothing half done.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed { Err(StoreError::Closed) } else { Ok(state) }
    }
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list
}

fn below<I>(id: Option<I>) -> (Bound<I>, Bound<I>) {
    (Bound::Unbounded, id.map_or(Bound::Unbounded, Bound::Excluded))
}

impl Store for MemoryStore {
    fn submit(&self, batch: Batch, done: Done) {
        let result = if self.fails() {
            Err(StoreError::Backend { operation: "storing a batch", message: "the test asked for it".to_owned() })
        } else {
            self.open().and_then(|mut state| state.apply(batch))
        };
        done(result);
    }

    fn open_work(&self) -> Result<OpenWork> {
        let state = self.open()?;
        let is_open = |id: &WorkflowId| state.workflows.get(id).is_some_and(|workflow| !workflow.status.is_terminal());
        let open = state.workflows.values().filter(|workflow| !workflow.status.is_terminal());
        let tasks = state.tasks.values().filter(|task| !task.status.is_terminal() && is_open(&task.workflow_id));
        Ok(OpenWork {
            workflows: open.map(OpenWorkflow::from).collect(),
            tasks: tasks.cloned().collect(),
            outbox: state.outbox.values().cloned().collect(),
            agents: state.agents.values().cloned().collect(),
            starts: sorted(state.starts.clone()),
            schedules: state.schedules.iter().map(|((tenant, _), schedule)| (tenant.clone(), schedule.clone())).collect(),
            last_outbox_id: state.last_outbox_id,
            last_feed_id: state.last_feed_id,
        })
    }

    fn load_run(&self, id: WorkflowId) -> Result<Option<StoredRun>> {
        let state = self.open()?;
        let Some(workflow) = state.workflows.get(&id).cloned() else { return Ok(None) };
        let snapshot = state.snapshots.get(&*workflow.snapshot).cloned().ok_or_else(|| StoreError::Corrupt {
            what: format!("snapshot {} of workflow {id}", workflow.snapshot),
            message: "it is missing".to_owned(),
        })?;
        Ok(Some(StoredRun { tasks: state.tasks_of(id, 0).cloned().collect(), workflow, snapshot }))
    }

    fn workflow_by_idempotency_key(&self, tenant: &TenantName, name: &str, key: &str) -> Result<Option<WorkflowRecord>> {
        let state = self.open()?;
        let id = state.idempotency_keys.get(&(tenant.clone(), name.to_owned(), key.to_owned()));
        Ok(id.and_then(|id| state.workflows.get(id)).cloned())
    }

    fn workflow(&self, tenant: &TenantName, id: WorkflowId) -> Result<Option<WorkflowRecord>> {
        Ok(self.open()?.workflows.get(&id).filter(|workflow| workflow.tenant == *tenant).cloned())
    }

    fn workflow_tasks(&self, tenant: &TenantName, id: WorkflowId, after_seq: u32, limit: usize) -> Result<Vec<TaskRecord>> {
        let state = self.open()?;
        Ok(state.tasks_of(id, after_seq).filter(|task| task.tenant == *tenant).take(limit).cloned().collect())
    }

    fn task(&self, tenant: &TenantName, id: TaskId) -> Result<Option<TaskRecord>> {
        Ok(self.open()?.tasks.get(&id).filter(|task| task.tenant == *tenant).cloned())
    }

    fn workflows(&self, tenant: &TenantName, filter: &WorkflowFilter, page: Page<WorkflowId>) -> Result<Vec<WorkflowRecord>> {
        let state = self.open()?;
        let rows = state.newest_first(page.before);
        Ok(filter::stretch(rows.filter(|row| filter::workflow(row, tenant, filter)), page.offset, page.limit))
    }

    fn count_workflows(&self, tenant: &TenantName, filter: &WorkflowFilter, at_most: u64) -> Result<u64> {
        let state = self.open()?;
        let count = state.workflows.values().filter(|row| filter::workflow(row, tenant, filter)).count();
        Ok(u64::try_from(count).unwrap_or(u64::MAX).min(at_most))
    }

    fn workflows_ended_before(
        &self,
        status: WorkflowStatus,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<(TenantName, WorkflowId)>> {
        let state = self.open()?;
        let ended = state.workflows.values().filter(|row| row.status == status && row.ended_at.is_some_and(|at| at < before));
        let alone = ended.filter(|row| row.parent_workflow_id.is_none_or(|parent| !state.workflows.contains_key(&parent)));
        Ok(alone.take(limit).map(|row| (row.tenant.clone(), row.id)).collect())
    }

    fn tasks(&self, tenant: &TenantName, filter: &TaskFilter, page: Page<TaskId>) -> Result<Vec<TaskRecord>> {
        let state = self.open()?;
        let rows = state.tasks.range(below(page.before)).rev().map(|(_, row)| row);
        Ok(filter::stretch(rows.filter(|row| filter::task(row, tenant, filter)), page.offset, page.limit))
    }

    fn search_workflows(&self, tenant: &TenantName, wanted: &Search<WorkflowField>) -> Result<Found<WorkflowRecord>> {
        Ok(search::workflows(&*self.open()?, tenant, wanted))
    }

    fn search_tasks(&self, tenant: &TenantName, wanted: &Search<TaskField>) -> Result<Found<TaskRecord>> {
        Ok(search::tasks(&*self.open()?, tenant, wanted))
    }

    fn workflows_of_tasks(
        &self,
        tenant: &TenantName,
        matching: &Expr<TaskField>,
        tasks_at_most: u64,
    ) -> Result<Vec<WorkflowId>> {
        Ok(search::workflows_of_tasks(&*self.open()?, tenant, matching, tasks_at_most))
    }

    fn snapshot(&self, digest: &str) -> Result<Option<Arc<Snapshot>>> {
        Ok(self.open()?.snapshots.get(digest).cloned())
    }

    fn schedule_runs(&self, tenant: &TenantName, schedule: Option<&str>, limit: usize) -> Result<Vec<ScheduleRun>> {
        let state = self.open()?;
        let own = state.schedule_runs.iter().rev().filter(|(owner, _)| owner == tenant).map(|(_, run)| run);
        let wanted = own.filter(|run| schedule.is_none_or(|schedule| run.schedule_name == schedule));
        Ok(wanted.take(limit).cloned().collect())
    }

    fn feed(&self, tenant: &TenantName, after: u64, limit: usize) -> Result<Vec<FeedEntry>> {
        let state = self.open()?;
        let later = state.feed.range((Bound::Excluded(after), Bound::Unbounded)).map(|(_, entry)| entry);
        Ok(later.filter(|entry| entry.tenant == *tenant).take(limit).map(|entry| FeedEntry::clone(entry)).collect())
    }

    fn trim_feed(&self, up_to: u64) -> Result<()> {
        self.open()?.feed.retain(|id, _| *id > up_to);
        Ok(())
    }

    fn append_logs(&self, tenant: &TenantName, lines: Vec<LogLine>) -> Result<()> {
        let mut state = self.open()?;
        for line in lines {
            state.logs.entry((line.task_id, line.seq)).or_insert_with(|| (tenant.clone(), line));
        }
        Ok(())
    }

    fn append_worker_logs(&self, tenant: &TenantName, task_id: TaskId, lines: Vec<(Timestamp, String)>) -> Result<()> {
        let mut state = self.open()?;
        let last = state.logs.range((task_id, 0)..=(task_id, u64::MAX)).next_back().map_or(0, |((_, seq), _)| *seq);
        for (seq, (at, text)) in (last + 1..).zip(lines) {
            let line = LogLine { task_id, seq, at, stream: LogStream::Worker, text };
            state.logs.insert((task_id, seq), (tenant.clone(), line));
        }
        Ok(())
    }

    fn logs(&self, tenant: &TenantName, task: TaskId, after: u64, limit: usize) -> Result<Vec<LogLine>> {
        let state = self.open()?;
        let later = state.logs.range((Bound::Excluded((task, after)), Bound::Included((task, u64::MAX))));
        let own = later.filter(|(_, (owner, _))| owner == tenant);
        Ok(own.take(limit).map(|(_, (_, line))| line.clone()).collect())
    }

    fn put_task_defs(&self, tenant: &TenantName, definitions: Vec<TaskDef>) -> Result<()> {
        self.open()?.put_task_defs(tenant, definitions)
    }

    fn task_def(&self, tenant: &TenantName, name: &str) -> Result<Option<TaskDef>> {
        Ok(self.open()?.task_defs.get(&(tenant.clone(), name.to_owned())).cloned())
    }

    fn task_defs(&self, tenant: &TenantName) -> Result<Vec<TaskDef>> {
        let state = self.open()?;
        let own = state.task_defs.iter().filter(|((owner, _), _)| owner == tenant);
        Ok(own.map(|(_, definition)| definition.clone()).collect())
    }

    fn delete_task_def(&self, tenant: &TenantName, name: &str, by: &str, at: Timestamp) -> Result<bool> {
        self.open()?.delete_task_def(tenant, name, by, at)
    }

    fn put_workflow_defs(&self, tenant: &TenantName, definitions: Vec<WorkflowDef>, overwrite: bool) -> Result<()> {
        self.open()?.put_workflow_defs(tenant, definitions, overwrite)
    }

    fn workflow_def(&self, tenant: &TenantName, name: &str, version: Option<i32>) -> Result<Option<WorkflowDef>> {
        let state = self.open()?;
        let (low, high) = version.map_or((i32::MIN, i32::MAX), |version| (version, version));
        let key = |version| (tenant.clone(), name.to_owned(), version);
        Ok(state.workflow_defs.range(key(low)..=key(high)).next_back().map(|(_, definition)| definition.clone()))
    }

    fn workflow_defs(&self, tenant: &TenantName) -> Result<Vec<WorkflowDef>> {
        let state = self.open()?;
        let own = state.workflow_defs.iter().filter(|((owner, ..), _)| owner == tenant);
        Ok(own.map(|(_, definition)| definition.clone()).collect())
    }

    fn delete_workflow_def(&self, tenant: &TenantName, name: &str, version: i32, by: &str, at: Timestamp) -> Result<bool> {
        self.open()?.delete_workflow_def(tenant, name, version, by, at)
    }

    fn revisions(&self, tenant: &TenantName, kind: DefinitionKind, name: &str) -> Result<Vec<Revision>> {
        Ok(self.open()?.revisions(tenant, kind, name))
    }

    fn revision(
        &self,
        tenant: &TenantName,
        kind: DefinitionKind,
        name: &str,
        number: u32,
    ) -> Result<Option<(Revision, Value)>> {
        Ok(self.open()?.revision(tenant, kind, name, number))
    }

    fn put_plugin(&self, plugin: PluginRecord) -> Result<bool> {
        let mut state = self.open()?;
        let own = || state.plugins.iter().filter(|known| known.tenant == plugin.tenant);
        if own().any(|known| known.digest == plugin.digest) {
            return Ok(false);
        }
        if own().any(|known| known.name == plugin.name && known.version == plugin.version) {
            let what = format!("another archive of plugin {} version {}", plugin.name, plugin.version);
            return Err(StoreError::Exists { what });
        }
        state.plugins.push(plugin);
        Ok(true)
    }

    fn plugins(&self, tenant: &TenantName) -> Result<Vec<PluginRecord>> {
        let state = self.open()?;
        let mut own: Vec<_> = state.plugins.iter().filter(|plugin| plugin.tenant == *tenant).cloned().collect();
        own.sort_by(|a, b| (&a.name, a.uploaded_at).cmp(&(&b.name, b.uploaded_at)));
        Ok(own)
    }

    fn plugin(&self, tenant: &TenantName, name: &PluginName, version: Option<&str>) -> Result<Option<PluginRecord>> {
        let state = self.open()?;
        let own = state.plugins.iter().filter(|plugin| plugin.tenant == *tenant && plugin.name == *name);
        let wanted = own.filter(|plugin| version.is_none_or(|version| version == plugin.version));
        Ok(wanted.max_by_key(|plugin| plugin.uploaded_at).cloned())
    }

    fn plugin_by_digest(&self, tenant: &TenantName, digest: &PluginDigest) -> Result<Option<PluginRecord>> {
        let state = self.open()?;
        Ok(state.plugins.iter().find(|plugin| plugin.tenant == *tenant && plugin.digest == *digest).cloned())
    }

    fn delete_plugin(&self, tenant: &TenantName, digest: &PluginDigest) -> Result<bool> {
        let mut state = self.open()?;
        let before = state.plugins.len();
        state.plugins.retain(|plugin| plugin.tenant != *tenant || plugin.digest != *digest);
        Ok(state.plugins.len() < before)
    }

    fn ensure_node_instance(&self, instance: NodeInstance) -> Result<NodeInstance> {
        let mut state = self.open()?;
        let key = (instance.tenant.clone(), instance.id.clone());
        Ok(state.node_instances.entry(key).or_insert(instance).clone())
    }

    fn node_instance(&self, tenant: &TenantName, id: &str) -> Result<Option<NodeInstance>> {
        Ok(self.open()?.node_instances.get(&(tenant.clone(), id.to_owned())).cloned())
    }

    fn node_instances(&self, tenant: &TenantName) -> Result<Vec<NodeInstance>> {
        let state = self.open()?;
        Ok(state.node_instances.values().filter(|instance| instance.tenant == *tenant).cloned().collect())
    }

    fn update_node_instance(&self, mut instance: NodeInstance) -> Result<Option<NodeInstance>> {
        let mut state = self.open()?;
        let key = (instance.tenant.clone(), instance.id.clone());
        let Some(stored) = state.node_instances.get_mut(&key) else { return Ok(None) };
        if stored.version > instance.version {
            return Err(StoreError::StaleVersion { stored: stored.version, sent: instance.version });
        }
        instance.version = instance.version.saturating_add(1);
        *stored = instance.clone();
        Ok(Some(instance))
    }

    fn put_token(&self, hash: &str, tenant: &TenantName, name: &str, _created_at: Timestamp) -> Result<()> {
        self.open()?.tokens.insert(hash.to_owned(), (tenant.clone(), name.to_owned()));
        Ok(())
    }

    fn token(&self, hash: &str) -> Result<Option<(TenantName, String)>> {
        Ok(self.open()?.tokens.get(hash).cloned())
    }

    fn count_tokens(&self) -> Result<u64> {
        Ok(u64::try_from(self.open()?.tokens.len()).unwrap_or(u64::MAX))
    }

    fn put_document(&self, document: Document, putting: Putting) -> Result<bool> {
        Ok(self.open()?.put_document(document, putting))
    }

    fn document(&self, tenant: &TenantName, kind: DocumentKind, name: &str, version: Option<i32>) -> Result<Option<Document>> {
        Ok(self.open()?.document(tenant, kind, name, version))
    }

    fn documents(&self, tenant: Option<&TenantName>, kind: DocumentKind) -> Result<Vec<Document>> {
        Ok(self.open()?.documents(tenant, kind))
    }

    fn delete_document(&self, tenant: &TenantName, kind: DocumentKind, name: &str, version: Option<i32>) -> Result<bool> {
        Ok(self.open()?.delete_document(tenant, kind, name, version))
    }

    fn is_event_handled(&self, key: &str) -> Result<bool> {
        Ok(self.open()?.handled_events.contains_key(key))
    }

    fn set_event_handled(&self, key: &str, at: Timestamp, forget_before: Timestamp) -> Result<()> {
        let mut state = self.open()?;
        state.handled_events.retain(|_, handled| *handled >= forget_before);
        state.handled_events.insert(key.to_owned(), at);
        Ok(())
    }

    fn close(&self) {
        if let Ok(mut state) = self.open() {
            state.closed = true;
        }
    }
}
