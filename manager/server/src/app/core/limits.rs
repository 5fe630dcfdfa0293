//! Limits of task definitions: how many of a name may be out at once (`concurrentExecLimit`), and how many may be handed
//! out within a stretch of time (`rateLimitPerFrequency` in `rateLimitFrequencyInSeconds`).
//!
//! They are counted where tasks are handed out, by the one thread that does so; that makes them exact. The limit in force
//! is that of the definition as it is registered **now**, so that operators can turn it while workflows run; a name that is
//! not registered goes by the definition that the task's step bears. What is out is counted from the task records; the
//! moments of hand-outs under a rate are rows of their own, stored with the decision, so that a restart forgets none.
//!
//! A hand-out counts until its window is over, with both ends exact: at most `n` lie in any stretch `[t, t + window)`.
//! Handing a task out again (after a callback, or after its agent was lost) counts again.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use conductor_model::{TaskDef, TaskId, TenantName, Timestamp, WorkflowId};
use conductor_store::LimitedStart;

use super::Core;
use super::index::{ClassKey, QueueKey, Rank};
use super::timers::Timer;

/// Names whose limits are kept in memory at most, so that texts from outside cannot fill it.
const NAMES_KEPT_MAX: usize = 16_384;

/// What limits are counted by: a name of a tenant's task definitions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct LimitKey {
    pub(super) tenant: TenantName,
    pub(super) name: Arc<str>,
}

/// The limits of one definition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// Most tasks out at once.
    concurrent: Option<usize>,
    /// Most hand-outs in any stretch of so many ms.
    rate: Option<(usize, i64)>,
}

impl Limits {
    fn of(definition: &TaskDef) -> Self {
        let positive = |value: Option<i64>| value.filter(|value| *value > 0);
        let count = |value: i64| usize::try_from(value).unwrap_or(usize::MAX);
        let seconds = positive(definition.rate_limit_frequency_in_seconds).unwrap_or(1);
        Self {
            concurrent: positive(definition.concurrent_exec_limit).map(count),
            rate: positive(definition.rate_limit_per_frequency).map(|most| (count(most), seconds.saturating_mul(1000))),
        }
    }

    fn is_none(self) -> bool {
        self == Self::default()
    }
}

/// What stands between a name's tasks and those who would take them.
#[derive(Debug, Default)]
struct Gate {
    /// Tasks that are out: with a worker, or given to an agent.
    out: usize,
    /// When tasks were handed out within the last window, in order. Empty without a rate.
    starts: VecDeque<Timestamp>,
    /// The limits when last looked at.
    limits: Limits,
    /// Queues that pollers found shut.
    queues: BTreeSet<QueueKey>,
    /// Tasks for agents that are held back, by class.
    held: BTreeMap<ClassKey, BTreeSet<Rank>>,
    /// Whether work of the manager's own is held back.
    work: bool,
}

impl Gate {
    fn is_idle(&self) -> bool {
        self.out == 0 && self.starts.is_empty() && !self.keeps_somebody()
    }

    fn keeps_somebody(&self) -> bool {
        !self.queues.is_empty() || !self.held.is_empty() || self.work
    }

    /// How many may be handed out now; with none, from when on, unless that is up to a task that ends.
    fn room(&mut self, now: Timestamp) -> Result<usize, Option<Timestamp>> {
        let slots = self.limits.concurrent.map_or(usize::MAX, |most| most.saturating_sub(self.out));
        if slots == 0 {
            return Err(None);
        }
        let Some((most, window_ms)) = self.limits.rate else { return Ok(slots) };
        // After the clock was set back, what was handed out counts from now, not from a moment to come.
        for start in self.starts.iter_mut().rev().take_while(|start| **start > now) {
            *start = now;
        }
        while self.starts.front().is_some_and(|start| start.plus_ms(window_ms) <= now) {
            self.starts.pop_front();
        }
        match most.checked_sub(self.starts.len()).filter(|left| *left > 0) {
            Some(left) => Ok(left.min(slots)),
            // The limit may have been lowered: as many must grow old as are too many, and one more.
            None => Err(self.starts.get(self.starts.len() - most).map(|start| start.plus_ms(window_ms))),
        }
    }
}

/// What may go through a gate.
struct Opened {
    /// The queues to try again.
    queues: BTreeSet<QueueKey>,
    /// The tasks of each class that may find room now.
    tasks: Vec<TaskId>,
    /// For how many there is room.
    room: usize,
}

/// All gates, and the limits as they were last looked up.
#[derive(Debug, Default)]
pub(super) struct Gates {
    gates: HashMap<LimitKey, Gate>,
    /// Gates through which something may go that did not when they were last tried.
    eased: BTreeSet<LimitKey>,
}

impl Gates {
    /// A task of the name went out or came back.
    pub(super) fn count(&mut self, tenant: &TenantName, name: &Arc<str>, more: bool) {
        let key = LimitKey { tenant: tenant.clone(), name: Arc::clone(name) };
        let gate = self.gates.entry(key.clone()).or_default();
        gate.out = if more { gate.out + 1 } else { gate.out.saturating_sub(1) };
        if gate.is_idle() {
            self.gates.remove(&key);
        } else if !more && gate.keeps_somebody() {
            self.eased.insert(key);
        }
    }

    /// A task of the name left where it waited without going out: another may take its chance.
    pub(super) fn gave_way(&mut self, tenant: &TenantName, name: &Arc<str>) {
        if self.gates.is_empty() {
            return;
        }
        let key = LimitKey { tenant: tenant.clone(), name: Arc::clone(name) };
        if self.gates.get(&key).is_some_and(Gate::keeps_somebody) {
            self.eased.insert(key);
        }
    }

    /// Takes over the hand-outs that were stored, by time.
    pub(super) fn remember(&mut self, starts: Vec<LimitedStart>) {
        for LimitedStart { tenant, name, at } in starts {
            self.gates.entry(LimitKey { tenant, name }).or_default().starts.push_back(at);
        }
    }

    /// How many tasks of the name may be handed out now; see [`Gate::room`].
    fn room(&mut self, key: &LimitKey, limits: Limits, now: Timestamp) -> Result<usize, Option<Timestamp>> {
        let gate = self.gates.entry(key.clone()).or_default();
        gate.limits = limits;
        gate.room(now)
    }

    /// A task was handed out under a rate: how long that counts, in ms.
    fn handed_out(&mut self, key: &LimitKey, now: Timestamp) -> Option<i64> {
        let gate = self.gates.get_mut(key)?;
        let (_, window_ms) = gate.limits.rate?;
        gate.starts.push_back(now);
        Some(window_ms)
    }

    /// Notes that a queue was found shut.
    fn shut(&mut self, key: &LimitKey, queue: &QueueKey) {
        if let Some(gate) = self.gates.get_mut(key) {
            gate.queues.insert(queue.clone());
        }
    }

    /// Holds a task for agents back.
    pub(super) fn hold(&mut self, key: LimitKey, class: ClassKey, rank: Rank) {
        self.gates.entry(key).or_default().held.entry(class).or_default().insert(rank);
    }

    /// A task is no longer held back.
    pub(super) fn release(&mut self, key: &LimitKey, class: &ClassKey, rank: Rank) {
        let Some(gate) = self.gates.get_mut(key) else { return };
        if let Some(held) = gate.held.get_mut(class) {
            held.remove(&rank);
            if held.is_empty() {
                gate.held.remove(class);
            }
        }
    }

    /// Notes whether work of the manager's own is held back.
    fn holds_work(&mut self, key: &LimitKey, holds: bool) {
        if let Some(gate) = self.gates.get_mut(key) {
            gate.work = holds;
        }
    }

    /// What may go; else when to look again.
    fn open(&mut self, key: &LimitKey, now: Timestamp) -> Result<Opened, Option<Timestamp>> {
        let Some(gate) = self.gates.get_mut(key) else { return Err(None) };
        let room = gate.room(now)?;
        let tasks = gate.held.values().flat_map(|held| held.iter().take(room).map(|rank| rank.task)).collect();
        Ok(Opened { queues: std::mem::take(&mut gate.queues), tasks, room })
    }

    /// The names whose gates keep somebody waiting.
    fn keeping(&self) -> BTreeSet<LimitKey> {
        self.gates.iter().filter(|(_, gate)| gate.keeps_somebody()).map(|(key, _)| key.clone()).collect()
    }
}

impl Core {
    /// How many of a waiting task's name may be handed out now: `None` = as many as wish, 0 = the gate is shut and opens by
    /// itself.
    pub(super) fn room_for(&mut self, key: &LimitKey, workflow: WorkflowId, task: TaskId) -> Option<usize> {
        let limits = self.limits_in_force(key, workflow, task);
        if limits.is_none() {
            return None;
        }
        match self.index.gates.room(key, limits, self.now) {
            Ok(room) => Some(room),
            Err(opens) => {
                if let Some(at) = opens {
                    self.index.timers.set(Timer::Gate(key.clone()), at);
                }
                Some(0)
            }
        }
    }

    /// Pollers of a queue are to be served once the name's gate opens.
    pub(super) fn queue_is_shut(&mut self, key: &LimitKey, queue: &QueueKey) {
        self.index.gates.shut(key, queue);
    }

    /// Work of the manager's own is tried again once the name's gate opens.
    pub(super) fn work_is_held(&mut self, key: &LimitKey) {
        self.index.gates.holds_work(key, true);
    }

    /// A task was handed out.
    pub(super) fn handed_out(&mut self, key: &LimitKey) {
        if let Some(window_ms) = self.index.gates.handed_out(key, self.now) {
            let LimitKey { tenant, name } = key.clone();
            self.building.limited_start(LimitedStart { tenant, name, at: self.now }, self.now.plus_ms(-window_ms));
        }
    }

    /// Lets through what may go since tasks came back or limits changed.
    pub(super) fn open_eased_gates(&mut self) {
        for key in std::mem::take(&mut self.index.gates.eased) {
            self.open_gate(&key);
        }
    }

    /// Lets through what may go.
    pub(super) fn open_gate(&mut self, key: &LimitKey) {
        match self.index.gates.open(key, self.now) {
            Ok(Opened { queues, tasks, room }) => {
                self.index.woken.extend(queues);
                for task in tasks {
                    self.index.let_through(task);
                }
                let holds = self.performing.let_through(key, room);
                self.index.gates.holds_work(key, holds);
            }
            Err(Some(at)) => self.index.timers.set(Timer::Gate(key.clone()), at),
            Err(None) => {}
        }
    }

    /// Task definitions were stored or removed: their limits are looked up anew, and who waits for them tries again.
    pub(super) fn definitions_changed(&mut self) {
        self.limits.clear();
        self.plans_by_name.clear();
        for key in self.index.gates.keeping() {
            if let Some(gate) = self.index.gates.gates.get_mut(&key) {
                gate.limits = Limits::default();
            }
            self.open_gate(&key);
        }
    }

    fn limits_in_force(&mut self, key: &LimitKey, workflow: WorkflowId, task: TaskId) -> Limits {
        match self.registered_limits(key) {
            Some(limits) => limits,
            None => self.own_limits(workflow, task),
        }
    }

    /// The limits of the definition that is registered under the name; `None` = there is none, or it cannot be read.
    fn registered_limits(&mut self, key: &LimitKey) -> Option<Limits> {
        if let Some(known) = self.limits.get(key) {
            return *known;
        }
        let found = match self.store.task_def(&key.tenant, &key.name) {
            Ok(found) => found.as_ref().map(Limits::of),
            Err(error) => {
                tracing::error!(%error, name = %key.name, "the limits of a task definition cannot be read");
                return None;
            }
        };
        if self.limits.len() >= NAMES_KEPT_MAX {
            self.limits.clear();
        }
        self.limits.insert(key.clone(), found);
        found
    }

    /// The limits of the definition that the task's step bears.
    fn own_limits(&mut self, workflow: WorkflowId, task: TaskId) -> Limits {
        let Ok(Some(run)) = self.runs.get(workflow, self.store.as_ref(), self.batch_number) else { return Limits::default() };
        let Some(record) = run.task(task) else { return Limits::default() };
        let definition = record.definition.as_ref().or_else(|| run.plan().definition(&record.reference));
        definition.map(|definition| Limits::of(definition)).unwrap_or_default()
    }
}
