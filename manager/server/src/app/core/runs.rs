//! Workflows in memory: loaded when an event asks for one, dropped when it is over or room is needed.

use std::collections::HashMap;
use std::sync::Arc;

use conductor_engine::{Plan, Run};
use conductor_model::WorkflowId;
use conductor_store::{Store, StoreError};
use rustc_hash::FxHashMap;

/// Workflows kept in memory at most; the least recently used go first. One that is not stored yet always stays.
const RUNS_CACHED_MAX: usize = 20_000;
/// Bytes of workflows kept in memory at most, roughly.
const RUNS_CACHED_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Compiled definitions kept in memory at most.
const PLANS_CACHED_MAX: usize = 512;

#[derive(Debug)]
struct Cached {
    run: Run,
    /// The last batch that changes it. It may be dropped once that is stored.
    last_batch: u64,
    over: bool,
    used: u64,
    weight: usize,
}

/// What a decision made of a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It goes on, or is over, as before.
    None,
    /// It is over now.
    Ended,
    /// It was over and goes on.
    Revived,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Runs {
    cached: FxHashMap<WorkflowId, Cached>,
    plans: HashMap<String, Arc<Plan>>,
    /// Runs that are over, with the batch after which they can go.
    ended: Vec<(u64, WorkflowId)>,
    stored: u64,
    clock: u64,
    weight: usize,
}

impl Runs {
    /// A workflow, loaded from the store when it is not in memory; `None` = there is none, or it is over.
    pub(super) fn get(&mut self, id: WorkflowId, store: &dyn Store, batch: u64) -> Result<Option<&mut Run>, StoreError> {
        if !self.cached.contains_key(&id) {
            let Some(stored) = store.load_run(id)? else { return Ok(None) };
            let digest = stored.snapshot.digest.clone();
            let plan =
                match self.plans.get(&digest) {
                    Some(plan) => Arc::clone(plan),
                    None => Arc::new(Plan::of_stored(stored.snapshot).map_err(|error| StoreError::Corrupt {
                        what: format!("snapshot {digest}"),
                        message: error.to_string(),
                    })?),
                };
            self.remember_plan(&plan);
            let over = stored.workflow.status.is_terminal();
            self.insert(Run::load(plan, stored.workflow, stored.tasks), 0);
            if over && let Some(cached) = self.cached.get_mut(&id) {
                cached.over = true;
                self.ended.push((batch, id));
            }
        }
        self.clock += 1;
        let clock = self.clock;
        Ok(self.cached.get_mut(&id).map(|cached| {
            cached.used = clock;
            &mut cached.run
        }))
    }

    /// A workflow that is in memory.
    pub(super) fn peek(&self, id: WorkflowId) -> Option<&Run> {
        self.cached.get(&id).map(|cached| &cached.run)
    }

    /// Keeps a run in memory that was just started or loaded.
    pub(super) fn insert(&mut self, run: Run, last_batch: u64) {
        self.make_room();
        let weight = run.weight_bytes();
        self.weight += weight;
        self.clock += 1;
        let id = run.workflow().id;
        self.cached.insert(id, Cached { run, last_batch, over: false, used: self.clock, weight });
    }

    /// Keeps compiled definitions for the next run of them.
    pub(super) fn remember_plan(&mut self, plan: &Arc<Plan>) {
        if self.plans.len() >= PLANS_CACHED_MAX {
            self.plans.retain(|_, plan| Arc::strong_count(plan) > 1);
        }
        self.plans.entry(plan.snapshot().digest.clone()).or_insert_with(|| Arc::clone(plan));
    }

    /// A decision changed the workflow or its tasks in this batch. Says whether it ended or began anew with that.
    pub(super) fn touched(&mut self, id: WorkflowId, batch: u64) -> Change {
        if let Some(cached) = self.cached.get_mut(&id) {
            cached.last_batch = batch;
            let over = cached.run.workflow().status.is_terminal();
            let weight = cached.run.weight_bytes();
            self.weight = self.weight + weight - cached.weight;
            cached.weight = weight;
            let before = std::mem::replace(&mut cached.over, over);
            if over && !before {
                self.ended.push((batch, id));
                return Change::Ended;
            }
            if before && !over {
                return Change::Revived;
            }
        }
        Change::None
    }

    /// All batches up to this one are stored: workflows that are over can go.
    pub(super) fn stored(&mut self, batch: u64) {
        self.stored = self.stored.max(batch);
        let mut gone = Vec::new();
        self.ended.retain(|&(last, id)| {
            let keep = last > batch;
            if !keep {
                gone.push(id);
            }
            keep
        });
        for id in gone {
            if self.cached.get(&id).is_some_and(|cached| cached.over && cached.last_batch <= batch) {
                self.drop_run(id);
            }
        }
    }

    /// Forgets a workflow that is deleted.
    pub(super) fn forget(&mut self, id: WorkflowId) {
        self.drop_run(id);
    }

    fn drop_run(&mut self, id: WorkflowId) {
        if let Some(cached) = self.cached.remove(&id) {
            self.weight -= cached.weight;
        }
    }

    /// Drops the least recently used tenth when a bound is passed.
    fn make_room(&mut self) {
        if self.cached.len() < RUNS_CACHED_MAX && self.weight < RUNS_CACHED_BYTES_MAX {
            return;
        }
        let mut idle: Vec<_> = self
            .cached
            .iter()
            .filter(|(_, cached)| cached.last_batch <= self.stored)
            .map(|(id, cached)| (cached.used, *id))
            .collect();
        idle.sort_unstable();
        for (_, id) in idle.into_iter().take(self.cached.len().div_ceil(10)) {
            self.drop_run(id);
        }
    }

    /// How many are in memory.
    pub(super) fn len(&self) -> usize {
        self.cached.len()
    }
}
