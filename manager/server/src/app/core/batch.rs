//! What is to be stored, and what follows once it is.

use std::collections::HashMap;
use std::sync::Arc;

use conductor_engine::{Decision, Effect, TaskChange};
use conductor_model::{
    AgentId, AgentRecord, Details, FeedEntry, Schedule, ScheduleRun, Snapshot, TaskId, TenantName, Timestamp, WorkflowId,
};
use conductor_store::{Batch, DecisionWrite, LimitedStart, OutboxMessage, StoreError, WorkflowWrite};
use rustc_hash::FxHashMap;

use super::follow_up::FollowUp;
use super::message::{Announcement, CommandError, Message};
use super::runs::Change;
use super::schedules::ScheduleKey;
use super::{BATCHES_IN_FLIGHT_MAX, Core};

/// Confirmed messages that wait at most for a batch that is made anyway.
const CONFIRMED_WAITING_MAX: usize = 4096;
/// Milliseconds after the last batch at which confirmed messages get a batch of their own.
const FORGET_CONFIRMED_MS: i64 = 500;

/// What follows on a commit: `Ok` = it is durable.
type After = Box<dyn FnOnce(Result<(), &StoreError>) + Send>;

/// What one workflow changed in the batch that is being made. Later decisions overwrite earlier ones, so that a row is
/// written once per batch however often it changed.
#[derive(Debug, Default)]
struct Merged {
    write: DecisionWrite,
    /// Where a task is in `write.tasks`.
    at: FxHashMap<TaskId, usize>,
}

/// The batch that is being made.
#[derive(Default)]
pub(super) struct Building {
    merged: Vec<Merged>,
    at: FxHashMap<WorkflowId, usize>,
    agents: HashMap<AgentId, AgentRecord>,
    agents_gone: Vec<AgentId>,
    schedules: HashMap<ScheduleKey, Option<Schedule>>,
    schedule_runs: Vec<(TenantName, ScheduleRun)>,
    outbox: Vec<OutboxMessage>,
    feed: Vec<Arc<FeedEntry>>,
    starts: Vec<LimitedStart>,
    /// Up to when hand-outs of a name no longer count.
    starts_over: HashMap<(TenantName, Arc<str>), Timestamp>,
    pub(super) outbox_done: Vec<u64>,
    pub(super) workflows_removed: Vec<WorkflowId>,
    after: Vec<After>,
}

impl std::fmt::Debug for Building {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Building").field("workflows", &self.merged.len()).finish_non_exhaustive()
    }
}

impl Building {
    /// Whether there is anything to store or to answer. Messages that the broker confirmed do not count: forgetting one
    /// late does no harm, so they wait for a batch that is made anyway ([`Core::forget_confirmed`]).
    pub(super) fn is_empty(&self) -> bool {
        self.merged.is_empty()
            && self.agents.is_empty()
            && self.agents_gone.is_empty()
            && self.schedules.is_empty()
            && self.schedule_runs.is_empty()
            && self.outbox.is_empty()
            && self.feed.is_empty()
            && self.after.is_empty()
    }

    /// Notes what follows once the batch is stored or has failed.
    pub(super) fn after(&mut self, act: impl FnOnce(Result<(), &StoreError>) + Send + 'static) {
        self.after.push(Box::new(act));
    }

    /// Notes an answer that is given once the batch is stored.
    pub(super) fn reply<T: Send + 'static>(&mut self, reply: super::message::Reply<T>, value: T) {
        self.after(move |stored| {
            let _ = reply.send(match stored {
                Ok(()) => Ok(value),
                Err(error) => Err(CommandError::NotStored(error.clone())),
            });
        });
    }

    /// Notes that an agent changed.
    pub(super) fn agent(&mut self, record: AgentRecord) {
        self.agents.insert(record.id.clone(), record);
    }

    /// Notes that a schedule changed, or is removed (`None`).
    pub(super) fn schedule(&mut self, key: ScheduleKey, schedule: Option<Schedule>) {
        self.schedules.insert(key, schedule);
    }

    /// Notes what came of a due moment.
    pub(super) fn schedule_run(&mut self, tenant: TenantName, run: ScheduleRun) {
        self.schedule_runs.push((tenant, run));
    }

    /// Notes that an agent is removed.
    pub(super) fn agent_gone(&mut self, id: AgentId) {
        self.agents.remove(&id);
        self.agents_gone.push(id);
    }

    /// Notes a hand-out under a rate, and up to when those before it no longer count.
    pub(super) fn limited_start(&mut self, start: LimitedStart, over: Timestamp) {
        self.starts_over.insert((start.tenant.clone(), Arc::clone(&start.name)), over);
        self.starts.push(start);
    }

    fn merged(&mut self, workflow: WorkflowId) -> &mut Merged {
        let index = *self.at.entry(workflow).or_insert_with(|| {
            self.merged.push(Merged::default());
            self.merged.len() - 1
        });
        &mut self.merged[index]
    }
}

impl Merged {
    fn workflow(&mut self, later: WorkflowWrite) {
        self.write.workflow = Some(match self.write.workflow.take() {
            None => later,
            Some(earlier) => WorkflowWrite {
                snapshot: later.snapshot.or(earlier.snapshot),
                stored_revision: earlier.stored_revision,
                record: later.record,
                input_replaced: earlier.input_replaced | later.input_replaced,
            },
        });
    }

    fn task(&mut self, change: TaskChange) {
        let tasks = &mut self.write.tasks;
        match self.at.get(&change.record.id) {
            Some(&index) => {
                let inserted = tasks[index].inserted || change.inserted;
                tasks[index] = TaskChange { inserted, ..change };
            }
            None => {
                self.at.insert(change.record.id, tasks.len());
                tasks.push(change);
            }
        }
    }

    /// Forgets tasks: one that is not stored yet never will be.
    fn remove(&mut self, ids: Vec<TaskId>) {
        for id in ids {
            let inserted = self.at.remove(&id).is_some_and(|index| {
                let tasks = &mut self.write.tasks;
                let inserted = tasks.swap_remove(index).inserted;
                if let Some(moved) = tasks.get(index) {
                    self.at.insert(moved.record.id, index);
                }
                inserted
            });
            if !inserted {
                self.write.removed.push(id);
            }
        }
    }
}

impl Core {
    /// Applies a decision to the indices and notes what is to be stored. `stored_revision` and `snapshot` as in
    /// [`WorkflowWrite`].
    pub(super) fn apply(
        &mut self,
        id: WorkflowId,
        tenant: &TenantName,
        stored_revision: Option<u64>,
        snapshot: Option<Arc<Snapshot>>,
        decision: Decision,
    ) {
        let Decision { workflow, tasks, removed, snapshot: replaced, input_replaced, effects, feed } = decision;
        match self.runs.touched(id, self.batch_number) {
            Change::Ended => self.follow_ups.push(FollowUp::Ended { workflow: id }),
            Change::Revived => self.follow_ups.push(FollowUp::Revived { workflow: id }),
            Change::None => {}
        }
        if let Some(record) = &workflow {
            self.index.observe_workflow(id, record.timer_at);
            self.observe_turn(record);
        }
        for change in &tasks {
            self.index.observe(&change.record, self.now);
            self.fleet.observe(&change.record);
        }
        for task in &removed {
            self.index.forget(*task);
            self.fleet.forget(*task);
        }
        let merged = self.building.merged(id);
        if let Some(record) = workflow {
            merged.workflow(WorkflowWrite { snapshot: snapshot.or(replaced), stored_revision, record, input_replaced });
        }
        merged.remove(removed);
        for change in tasks {
            merged.task(change);
        }
        for entry in feed {
            self.last_feed_id += 1;
            let agent_id = entry.task.and_then(|task| self.fleet.holder(task).cloned());
            self.building.feed.push(Arc::new(FeedEntry {
                id: self.last_feed_id,
                tenant: tenant.clone(),
                at: self.now,
                kind: entry.kind.into(),
                workflow_id: Some(id),
                task_id: entry.task,
                agent_id,
                data: entry.data,
            }));
        }
        for effect in effects {
            self.effect(id, effect);
        }
    }

    fn effect(&mut self, workflow: WorkflowId, effect: Effect) {
        match effect {
            Effect::Dispatch { task } => self.dispatch(workflow, task),
            Effect::Cancel { task, dispatch, agent, reason } => self.cancel_on_agent(task, dispatch, agent, reason),
            Effect::Perform { task, turn } => self.perform(workflow, task, turn),
            Effect::StartWorkflow { task, order } => self.follow_ups.order(workflow, task, order),
            Effect::TerminateWorkflow { workflow, reason } => {
                self.follow_ups.push(FollowUp::Terminate { workflow, reason });
            }
            Effect::RetryWorkflow { workflow: child, task } => {
                self.follow_ups.push(FollowUp::Retry { from: workflow, task, workflow: child });
            }
            Effect::Alert { task, message } => {
                self.metrics.alerts.inc();
                tracing::warn!(%workflow, ?task, "{message}");
            }
        }
    }

    /// Puts a message into the outbox: stored with the decision, sent once that is durable.
    pub(super) fn outbox(&mut self, message: impl FnOnce(u64) -> OutboxMessage) {
        self.last_outbox_id += 1;
        self.building.outbox.push(message(self.last_outbox_id));
    }

    /// Puts an entry into the feed that no decision made.
    pub(super) fn announce(&mut self, announcement: Announcement) {
        self.last_feed_id += 1;
        self.building.feed.push(Arc::new(FeedEntry {
            id: self.last_feed_id,
            tenant: announcement.tenant,
            at: self.now,
            kind: announcement.kind.into(),
            workflow_id: announcement.task.map(|(workflow, _)| workflow),
            task_id: announcement.task.map(|(_, task)| task),
            agent_id: announcement.agent,
            data: Details::of(&announcement.data),
        }));
    }

    /// Whether the messages that the broker confirmed are worth a batch of their own.
    pub(super) fn forget_confirmed(&self) -> bool {
        let waited = self.stopping || self.now.ms_since(self.submitted_at) >= FORGET_CONFIRMED_MS;
        let waiting = self.building.outbox_done.len();
        waiting >= CONFIRMED_WAITING_MAX || (waiting > 0 && waited)
    }

    /// Hands what was decided to the store, unless enough is on its way.
    pub(super) fn submit_batch(&mut self) {
        if (self.building.is_empty() && !self.forget_confirmed()) || self.in_flight >= BATCHES_IN_FLIGHT_MAX {
            return;
        }
        self.submitted_at = self.now;
        let building = std::mem::take(&mut self.building);
        let number = self.batch_number;
        self.batch_number += 1;
        self.in_flight += 1;
        self.metrics.batch(building.merged.len());
        let (outbox, feed) = (building.outbox, building.feed);
        let batch = Batch {
            decisions: building.merged.into_iter().map(|merged| merged.write).collect(),
            outbox: outbox.clone(),
            outbox_done: building.outbox_done,
            agents: building.agents.into_values().collect(),
            agents_gone: building.agents_gone,
            schedules: building.schedules.into_iter().map(|(key, schedule)| (key.tenant, key.name, schedule)).collect(),
            schedule_runs: building.schedule_runs,
            feed: feed.clone(),
            starts: building.starts,
            starts_over: building
                .starts_over
                .into_iter()
                .map(|((tenant, name), at)| LimitedStart { tenant, name, at })
                .collect(),
            workflows_removed: building.workflows_removed,
        };
        let outlets = self.outlets.clone();
        let handle = self.handle.clone();
        let after = building.after;
        self.store.submit(
            batch,
            Box::new(move |result| {
                if result.is_ok() {
                    for message in outbox {
                        let _ = outlets.outbox.send(message);
                    }
                }
                for act in after {
                    act(match &result {
                        Ok(()) => Ok(()),
                        Err(error) => Err(error),
                    });
                }
                if result.is_ok() {
                    for entry in feed {
                        let _ = outlets.feed.send(entry);
                    }
                }
                handle.tell(Message::Committed { batch: number, result });
            }),
        );
    }

    /// The store answered.
    pub(super) fn committed(&mut self, batch: u64, result: Result<(), StoreError>) {
        self.in_flight -= 1;
        match result {
            Ok(()) => {
                self.runs.stored(batch);
                self.starting_keys.retain(|_, (_, pending)| *pending > batch);
                self.removing.retain(|_, pending| *pending > batch);
            }
            Err(error) => {
                tracing::error!(%error, batch, "what was decided could not be stored; rebuilding from the store");
                self.metrics.commit_failures.inc();
                self.failed.get_or_insert(error);
            }
        }
    }

    /// After a failed batch: once every batch is answered, what was decided since is dropped and the memory rebuilt.
    pub(super) fn recover_when_answered(&mut self) {
        let Some(error) = self.failed.clone() else { return };
        for act in std::mem::take(&mut self.building).after {
            act(Err(&error));
        }
        if self.in_flight > 0 {
            return;
        }
        match self.rebuild() {
            Ok(()) => self.failed = None,
            Err(error) => tracing::error!(%error, "the store cannot be read; trying again"),
        }
    }
}
