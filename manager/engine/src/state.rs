//! The tasks of a run, and the indices over them.

use std::collections::BTreeSet;
use std::sync::Arc;

use conductor_model::{TaskId, TaskRecord, WorkflowRecord};
use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::frame::{Frames, Site};

/// A task by its place in [`State`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ix(pub u32);

/// The tasks and the indices over them. Everything but `tasks` is worked out from them when a run is loaded, and kept up
/// to date by each decision.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// By `seq`, with those that are gone.
    tasks: Vec<Task>,
    /// How many of `tasks` are gone.
    gone: usize,
    pub by_id: FxHashMap<TaskId, Ix>,
    /// The newest attempt at each step that was scheduled.
    pub latest: FxHashMap<Site, Ix>,
    /// The newest attempt by the names of steps in loops and dynamic branches: with and without the number of the round.
    names: FxHashMap<Arc<str>, Ix>,
    /// Tasks that are not over.
    pub open: BTreeSet<Ix>,
    /// For each join in progress: how many of the steps that it waits for are not settled.
    pub missing: FxHashMap<Site, usize>,
    /// Tasks that ended while the workflow was paused: what follows from that is drawn when it goes on.
    pub pending: BTreeSet<Ix>,
    /// Bytes of the records, the workflow's payloads included, roughly.
    pub weight: usize,
}

/// A task with its step.
#[derive(Debug)]
struct Task {
    record: TaskRecord,
    site: Site,
    gone: bool,
}

impl State {
    /// Nothing but the workflow itself.
    pub fn of(workflow: &WorkflowRecord) -> Self {
        let payloads = [&workflow.input, &workflow.output, &workflow.variables];
        Self { weight: payloads.into_iter().map(|payload| json_bytes(payload)).sum(), ..Self::default() }
    }

    /// Adds a record and what the indices say of it, except what depends on how far the flow has come.
    pub fn add(&mut self, frames: &Frames, site: Site, record: TaskRecord) -> Ix {
        let ix = Ix(u32::try_from(self.tasks.len()).unwrap_or(u32::MAX));
        self.by_id.insert(record.id, ix);
        self.latest.insert(site, ix);
        if !site.is_root() {
            let base = &frames.node(site).reference;
            if *base != record.reference {
                self.names.insert(Arc::clone(base), ix);
            }
            self.names.insert(Arc::clone(&record.reference), ix);
        }
        if !record.status.is_terminal() {
            self.open.insert(ix);
        }
        self.weight += record_bytes(&record);
        self.tasks.push(Task { record, site, gone: false });
        ix
    }

    /// Takes a task out that is over.
    pub fn remove(&mut self, frames: &Frames, ix: Ix) {
        let task = &mut self.tasks[ix.0 as usize];
        if std::mem::replace(&mut task.gone, true) {
            return;
        }
        self.gone += 1;
        self.weight = self.weight.saturating_sub(record_bytes(&task.record));
        self.by_id.remove(&task.record.id);
        self.open.remove(&ix);
        self.pending.remove(&ix);
        if self.latest.get(&task.site) == Some(&ix) {
            self.latest.remove(&task.site);
        }
        for name in [&task.record.reference, &frames.node(task.site).reference] {
            if self.names.get(name) == Some(&ix) {
                self.names.remove(name);
            }
        }
        // The payloads are not needed any more.
        let null = Arc::new(Value::Null);
        task.record.input = Arc::clone(&null);
        task.record.output = null;
    }

    /// Whether so many tasks are gone that the indices should be worked out anew.
    pub fn sparse(&self) -> bool {
        /// Below, it is not worth it.
        const GONE_MIN: usize = 1000;
        self.gone > GONE_MIN && self.gone * 2 > self.tasks.len()
    }

    pub fn record(&self, ix: Ix) -> &TaskRecord {
        &self.tasks[ix.0 as usize].record
    }

    pub fn record_mut(&mut self, ix: Ix) -> &mut TaskRecord {
        &mut self.tasks[ix.0 as usize].record
    }

    pub fn site(&self, ix: Ix) -> Site {
        self.tasks[ix.0 as usize].site
    }

    /// All tasks, by `seq`.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = (Ix, &TaskRecord)> {
        let tasks = self.tasks.iter().enumerate().filter(|(_, task)| !task.gone);
        tasks.map(|(index, task)| (Ix(u32::try_from(index).unwrap_or(u32::MAX)), &task.record))
    }

    /// Gives the records back.
    pub fn into_records(self) -> Vec<TaskRecord> {
        self.tasks.into_iter().filter(|task| !task.gone).map(|task| task.record).collect()
    }

    /// The newest attempt at a step in a loop or a dynamic branch.
    pub fn by_name(&self, reference: &str) -> Option<Ix> {
        self.names.get(reference).copied()
    }
}

/// Roughly what a task's record and its places in the indices take.
fn record_bytes(record: &TaskRecord) -> usize {
    /// An entry in each of four maps, with their slack.
    const INDEX_BYTES: usize = 160;
    size_of::<Task>() + INDEX_BYTES + json_bytes(&record.input) + json_bytes(&record.output)
}

/// Roughly what a JSON value takes in memory.
pub(crate) fn json_bytes(value: &Value) -> usize {
    /// A node of a map, beside key and value.
    const ENTRY_BYTES: usize = 32;
    size_of::<Value>()
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(list) => list.iter().map(json_bytes).sum(),
            Value::Object(map) => map.iter().map(|(key, value)| ENTRY_BYTES + key.len() + json_bytes(value)).sum(),
        }
}
