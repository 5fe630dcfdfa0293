//! What is kept.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use conductor_model::{
    AgentId, AgentRecord, FeedEntry, LogLine, NodeInstance, PluginRecord, Schedule, ScheduleRun, Snapshot, TaskDef, TaskId,
    TaskRecord, TenantName, Timestamp, WorkflowDef, WorkflowId, WorkflowRecord,
};
use serde_json::Value;

use crate::revision::RevisionKey;
use crate::{Document, DocumentKind, LimitedStart, OutboxMessage, Revision, SCHEDULE_RUNS_KEPT};

/// Everything, behind one lock.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) closed: bool,
    pub(super) snapshots: HashMap<String, Arc<Snapshot>>,
    pub(super) workflows: BTreeMap<WorkflowId, WorkflowRecord>,
    /// When they started, who came first within a millisecond → workflow.
    pub(super) by_start: BTreeMap<(Timestamp, u64), WorkflowId>,
    pub(super) places: HashMap<WorkflowId, (Timestamp, u64)>,
    pub(super) arrivals: u64,
    /// Tenant, name and key → workflow.
    pub(super) idempotency_keys: HashMap<(TenantName, String, String), WorkflowId>,
    pub(super) tasks: BTreeMap<TaskId, TaskRecord>,
    /// Workflow and `seq` → task.
    pub(super) tasks_of: BTreeMap<(WorkflowId, u32), TaskId>,
    pub(super) outbox: BTreeMap<u64, OutboxMessage>,
    pub(super) last_outbox_id: u64,
    pub(super) feed: BTreeMap<u64, Arc<FeedEntry>>,
    pub(super) last_feed_id: u64,
    pub(super) agents: BTreeMap<AgentId, AgentRecord>,
    pub(super) starts: Vec<LimitedStart>,
    pub(super) schedules: BTreeMap<(TenantName, String), Schedule>,
    /// In order of time.
    pub(super) schedule_runs: Vec<(TenantName, ScheduleRun)>,
    pub(super) logs: BTreeMap<(TaskId, u64), (TenantName, LogLine)>,
    pub(super) task_defs: BTreeMap<(TenantName, String), TaskDef>,
    pub(super) workflow_defs: BTreeMap<(TenantName, String, i32), WorkflowDef>,
    /// In order of time.
    pub(super) revisions: BTreeMap<RevisionKey, Vec<(Revision, Value)>>,
    /// In order of arrival.
    pub(super) plugins: Vec<PluginRecord>,
    pub(super) node_instances: BTreeMap<(TenantName, String), NodeInstance>,
    pub(super) documents: BTreeMap<(DocumentKind, TenantName, String, i32), Document>,
    pub(super) handled_events: HashMap<String, Timestamp>,
    pub(super) tokens: HashMap<String, (TenantName, String)>,
}

impl State {
    /// Workflows, the last started first, those that started before `before`.
    pub(super) fn newest_first(&self, before: Option<WorkflowId>) -> impl Iterator<Item = &WorkflowRecord> {
        let end = match before {
            None => Bound::Unbounded,
            // Before one that is not there is nothing, as in SQL.
            Some(id) => Bound::Excluded(self.places.get(&id).copied().unwrap_or((Timestamp(i64::MIN), 1))),
        };
        let from = Bound::Included((Timestamp(i64::MIN), 0));
        self.by_start.range((from, end)).rev().filter_map(|(_, id)| self.workflows.get(id))
    }

    /// Notes a run of a schedule, and forgets the oldest of that schedule beyond what is kept.
    pub(super) fn add_schedule_run(&mut self, tenant: TenantName, run: ScheduleRun) {
        let same = |(owner, other): &(TenantName, ScheduleRun)| *owner == tenant && other.schedule_name == run.schedule_name;
        if self.schedule_runs.iter().filter(|row| same(row)).count() >= SCHEDULE_RUNS_KEPT
            && let Some(oldest) = self.schedule_runs.iter().position(same)
        {
            self.schedule_runs.remove(oldest);
        }
        self.schedule_runs.push((tenant, run));
    }

    /// A workflow's tasks after `after_seq`, by `seq`.
    pub(super) fn tasks_of(&self, id: WorkflowId, after_seq: u32) -> impl Iterator<Item = &TaskRecord> {
        let after = (Bound::Excluded((id, after_seq)), Bound::Included((id, u32::MAX)));
        self.tasks_of.range(after).filter_map(|(_, task)| self.tasks.get(task))
    }
}
