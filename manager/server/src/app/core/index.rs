//! What waits for pollers, for a place or for a moment. Worked out from the task records by [`Index::observe`], after each
//! decision and at start alike, so that it cannot drift from what is stored.

mod audit;
mod queues;

pub use queues::QueueView;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use conductor_engine::{awaited_workflow, is_for_workers};
use conductor_model::{AgentId, TaskId, TaskRecord, TaskStatus, TenantName, Timestamp, WorkflowId};
use rustc_hash::FxHashMap;

use super::limits::{Gates, LimitKey};
use super::precedence::precedence;
use super::timers::{Timer, Timers};
use super::turns::Turns;

/// Which tasks a poller may get.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct QueueKey {
    pub(super) tenant: TenantName,
    pub(super) task_type: std::sync::Arc<str>,
    pub(super) domain: Option<String>,
}

/// Tasks that ask the same of an agent: when the first of a class finds no place, none of it does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ClassKey {
    pub(super) tenant: TenantName,
    pub(super) requires: Option<String>,
    pub(super) target: Option<AgentId>,
}

/// Order in a queue: see [`precedence`]; then older (ids are drawn in order of time).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Rank {
    precedence: Timestamp,
    pub(super) task: TaskId,
}

/// Where an open task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    /// Nobody can take it now.
    Nowhere,
    /// In a queue for pollers.
    Queue(QueueKey),
    /// A worker that polled this queue has it.
    Handed(QueueKey),
    /// Waits for an agent.
    Class(ClassKey),
    /// Would wait for an agent, and is held back by a limit.
    Held(ClassKey),
    /// An agent has it.
    Claimed { agent: AgentId, dispatch: u32, since: Timestamp },
}

#[derive(Debug)]
struct Open {
    workflow: WorkflowId,
    limit: LimitKey,
    /// Whether a worker or an agent has it.
    out: bool,
    rank: Rank,
    place: Place,
    /// Where it goes once it is visible.
    later: Option<Place>,
    /// The workflow whose end it waits for.
    watches: Option<WorkflowId>,
    timer_at: Option<Timestamp>,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Index {
    open: FxHashMap<TaskId, Open>,
    queues: HashMap<QueueKey, BTreeSet<Rank>>,
    /// How many tasks of each queue workers have.
    handed: HashMap<QueueKey, u64>,
    classes: BTreeMap<ClassKey, BTreeSet<Rank>>,
    pub(super) timers: Timers,
    pub(super) gates: Gates,
    pub(super) turns: Turns,
    /// Tasks that wait for a workflow's end, with their own workflows.
    watchers: FxHashMap<WorkflowId, BTreeMap<TaskId, WorkflowId>>,
    /// Queues that got a task since pollers were last served.
    pub(super) woken: BTreeSet<QueueKey>,
    /// Whether a place may have become possible since places were last looked for.
    pub(super) places_changed: bool,
}

impl Index {
    /// Takes note of how a task stands now.
    pub(super) fn observe(&mut self, task: &TaskRecord, now: Timestamp) {
        self.forget_place(task.id);
        self.count_out(task);
        let watches = watched(task);
        self.watch(task.id, task.workflow_id, watches);
        if task.status.is_terminal() {
            self.open.remove(&task.id);
            self.gates.gave_way(&task.tenant, &task.definition_name);
            self.timers.clear(&Timer::Task(task.id));
            self.timers.clear(&Timer::Visible(task.id));
            return;
        }
        let place = place_of(task);
        let rank = Rank { precedence: precedence(task.visible_at, task.priority), task: task.id };
        let (place, later) = match place {
            Place::Queue(_) | Place::Class(_) if task.visible_at > now => (Place::Nowhere, Some(place)),
            place => (place, None),
        };
        match task.timer_at {
            Some(at) => self.timers.set(Timer::Task(task.id), at),
            None => self.timers.clear(&Timer::Task(task.id)),
        }
        if later.is_some() {
            self.timers.set(Timer::Visible(task.id), task.visible_at);
        } else {
            self.timers.clear(&Timer::Visible(task.id));
        }
        let limit = LimitKey { tenant: task.tenant.clone(), name: task.definition_name.clone() };
        let (workflow, timer_at) = (task.workflow_id, task.timer_at);
        let open = Open { workflow, limit, out: is_out(task), rank, place: Place::Nowhere, later, watches, timer_at };
        self.open.insert(task.id, open);
        self.enter(task.id, place);
    }

    /// A task waits for a workflow's end, or no longer does.
    fn watch(&mut self, task: TaskId, workflow: WorkflowId, watches: Option<WorkflowId>) {
        let before = self.open.get(&task).and_then(|open| open.watches);
        if before == watches {
            return;
        }
        if let Some(before) = before
            && let Some(watchers) = self.watchers.get_mut(&before)
        {
            watchers.remove(&task);
            if watchers.is_empty() {
                self.watchers.remove(&before);
            }
        }
        if let Some(watched) = watches {
            self.watchers.entry(watched).or_default().insert(task, workflow);
        }
    }

    /// The tasks that wait for a workflow's end, with their own workflows.
    pub(super) fn watchers(&self, workflow: WorkflowId) -> Vec<(TaskId, WorkflowId)> {
        self.watchers.get(&workflow).into_iter().flatten().map(|(task, waiting)| (*task, *waiting)).collect()
    }

    /// A task is gone.
    pub(super) fn forget(&mut self, task: TaskId) {
        self.forget_place(task);
        if let Some(workflow) = self.workflow_of(task) {
            self.watch(task, workflow, None);
        }
        self.timers.clear(&Timer::Task(task));
        self.timers.clear(&Timer::Visible(task));
        if let Some(open) = self.open.remove(&task) {
            if open.out {
                self.gates.count(&open.limit.tenant, &open.limit.name, false);
            }
            self.gates.gave_way(&open.limit.tenant, &open.limit.name);
        }
    }

    /// Counts tasks that go out and come back.
    fn count_out(&mut self, task: &TaskRecord) {
        let was = self.open.get(&task.id).is_some_and(|open| open.out);
        let is = is_out(task);
        if was != is {
            self.gates.count(&task.tenant, &task.definition_name, is);
        }
    }

    /// Takes note of a workflow's own timer; `None` also when it is over.
    pub(super) fn observe_workflow(&mut self, id: WorkflowId, timer_at: Option<Timestamp>) {
        match timer_at {
            Some(at) => self.timers.set(Timer::Workflow(id), at),
            None => self.timers.clear(&Timer::Workflow(id)),
        }
    }

    /// The moment has come from which a task may be polled or placed.
    pub(super) fn now_visible(&mut self, task: TaskId) {
        if let Some(place) = self.open.get_mut(&task).and_then(|open| open.later.take()) {
            self.enter(task, place);
        }
    }

    /// Takes a task out of its queue without an event: its workflow is paused. Resuming observes it again.
    pub(super) fn park(&mut self, task: TaskId) {
        self.forget_place(task);
        if let Some(open) = self.open.get_mut(&task) {
            open.place = Place::Nowhere;
            self.gates.gave_way(&open.limit.tenant, &open.limit.name);
        }
    }

    /// Takes a task for agents out of its class until its name's limit allows it.
    pub(super) fn hold_back(&mut self, task: TaskId) {
        let Some(Place::Class(class)) = self.open.get(&task).map(|open| open.place.clone()) else { return };
        self.forget_place(task);
        if let Some(open) = self.open.get_mut(&task) {
            self.gates.hold(open.limit.clone(), class.clone(), open.rank);
            open.place = Place::Held(class);
        }
    }

    /// Puts a task that was held back where it waits for an agent.
    pub(super) fn let_through(&mut self, task: TaskId) {
        if let Some(Place::Held(class)) = self.open.get(&task).map(|open| open.place.clone()) {
            self.forget_place(task);
            self.enter(task, Place::Class(class));
        }
    }

    /// What an open task's limits are counted by.
    pub(super) fn limit_key(&self, task: TaskId) -> Option<&LimitKey> {
        self.open.get(&task).map(|open| &open.limit)
    }

    /// Takes a task out of where it waits until a moment.
    pub(super) fn postpone(&mut self, task: TaskId, until: Timestamp) {
        self.forget_place(task);
        if let Some(open) = self.open.get_mut(&task) {
            open.later = Some(std::mem::replace(&mut open.place, Place::Nowhere));
            self.gates.gave_way(&open.limit.tenant, &open.limit.name);
            self.timers.set(Timer::Visible(task), until);
        }
    }

    fn enter(&mut self, task: TaskId, place: Place) {
        let Some(open) = self.open.get_mut(&task) else { return };
        match &place {
            Place::Nowhere | Place::Claimed { .. } | Place::Held(_) => {}
            Place::Handed(key) => *self.handed.entry(key.clone()).or_default() += 1,
            Place::Queue(key) => {
                self.queues.entry(key.clone()).or_default().insert(open.rank);
                self.woken.insert(key.clone());
            }
            Place::Class(key) => {
                self.classes.entry(key.clone()).or_default().insert(open.rank);
                self.places_changed = true;
            }
        }
        open.place = place;
    }

    fn forget_place(&mut self, task: TaskId) {
        let Some(open) = self.open.get(&task) else { return };
        match &open.place {
            Place::Nowhere => {}
            Place::Claimed { .. } => self.places_changed = true,
            Place::Held(class) => self.gates.release(&open.limit, class, open.rank),
            Place::Handed(key) => {
                if let Some(handed) = self.handed.get_mut(key) {
                    *handed -= 1;
                    if *handed == 0 {
                        self.handed.remove(key);
                    }
                }
            }
            Place::Queue(key) => {
                if let Some(queue) = self.queues.get_mut(key) {
                    queue.remove(&open.rank);
                    if queue.is_empty() {
                        self.queues.remove(key);
                    }
                }
            }
            Place::Class(key) => {
                if let Some(class) = self.classes.get_mut(key) {
                    class.remove(&open.rank);
                    if class.is_empty() {
                        self.classes.remove(key);
                    }
                }
            }
        }
    }

    /// The first task of a queue, and its workflow.
    pub(super) fn first_in_queue(&self, key: &QueueKey) -> Option<(TaskId, WorkflowId)> {
        let task = self.queues.get(key)?.first()?.task;
        Some((task, self.workflow_of(task)?))
    }

    /// The place of a queue's first task among all that wait.
    pub(super) fn first_rank(&self, key: &QueueKey) -> Option<Rank> {
        self.queues.get(key)?.first().copied()
    }

    /// How many tasks wait in a queue.
    pub(super) fn queue_len(&self, key: &QueueKey) -> usize {
        self.queues.get(key).map_or(0, BTreeSet::len)
    }

    /// All classes with a task that waits, by their best task.
    pub(super) fn waiting_classes(&self) -> Vec<(Rank, ClassKey)> {
        let mut classes: Vec<_> = self.classes.iter().filter_map(|(key, tasks)| Some((*tasks.first()?, key.clone()))).collect();
        classes.sort();
        classes
    }

    /// The best task of a class.
    pub(super) fn first_in_class(&self, key: &ClassKey) -> Option<TaskId> {
        self.classes.get(key)?.first().map(|rank| rank.task)
    }

    /// The workflow of an open task.
    pub(super) fn workflow_of(&self, task: TaskId) -> Option<WorkflowId> {
        self.open.get(&task).map(|open| open.workflow)
    }

    /// Which dispatch of a task an agent has.
    pub(super) fn claimed_dispatch(&self, task: TaskId) -> Option<u32> {
        match &self.open.get(&task)?.place {
            Place::Claimed { dispatch, .. } => Some(*dispatch),
            Place::Nowhere | Place::Queue(_) | Place::Handed(_) | Place::Class(_) | Place::Held(_) => None,
        }
    }

    /// Who has a task, which dispatch, and since when.
    pub(super) fn claim(&self, task: TaskId) -> Option<(&AgentId, u32, Timestamp)> {
        match &self.open.get(&task)?.place {
            Place::Claimed { agent, dispatch, since } => Some((agent, *dispatch, *since)),
            Place::Nowhere | Place::Queue(_) | Place::Handed(_) | Place::Class(_) | Place::Held(_) => None,
        }
    }

    /// Whether a task's timeout is due.
    pub(super) fn timer_is_due(&self, task: TaskId, now: Timestamp) -> bool {
        self.open.get(&task).and_then(|open| open.timer_at).is_some_and(|at| at <= now)
    }
}

/// The workflow whose end an open task waits for.
fn watched(task: &TaskRecord) -> Option<WorkflowId> {
    awaited_workflow(task).filter(|_| !task.status.is_terminal())
}

/// Whether a worker or an agent has the task.
fn is_out(task: &TaskRecord) -> bool {
    match &task.agent {
        Some(part) => part.assigned.is_some() && !task.status.is_terminal(),
        None => task.status == TaskStatus::InProgress && is_for_workers(task),
    }
}

fn place_of(task: &TaskRecord) -> Place {
    let waits = task.status == TaskStatus::Scheduled;
    match &task.agent {
        Some(part) => match (&part.assigned, waits) {
            (Some(agent), _) => Place::Claimed {
                agent: agent.clone(),
                dispatch: part.dispatch,
                since: part.assigned_at.unwrap_or(task.updated_at),
            },
            (None, true) => Place::Class(ClassKey {
                tenant: task.tenant.clone(),
                requires: part.requires.clone(),
                target: part.target.clone(),
            }),
            (None, false) => Place::Nowhere,
        },
        None if is_for_workers(task) => {
            let queue =
                QueueKey { tenant: task.tenant.clone(), task_type: task.definition_name.clone(), domain: task.domain.clone() };
            match task.status {
                TaskStatus::Scheduled => Place::Queue(queue),
                TaskStatus::InProgress => Place::Handed(queue),
                _ => Place::Nowhere,
            }
        }
        None => Place::Nowhere,
    }
}
