//! The tasks that the agent has.

use std::collections::VecDeque;
use std::sync::Arc;

use conductor_model::{Outcome, TaskId};
use conductor_wire::amqp::{CancelOrder, TaskEnvelope, TaskEvent, TaskEventKind};
use rustc_hash::FxHashMap;
use serde_json::Map;

use crate::limits::WAITING_MAX;
use crate::outcome::{ended_unstarted, final_event, finish, is_worth_repeating};
use crate::record::{ProcessMark, Record, TaskKey, TaskResult};
use crate::recovery::{begin_again, give_up};
use crate::reported::{Report, Reported};
use crate::step::{Admission, Effect, Input, Moment, Step};

/// How far a task is.
#[derive(Clone, Debug)]
pub(crate) enum State {
    /// Waits for a slot.
    Received,
    /// Has a slot; its process is about to be started.
    Starting,
    /// Its process runs.
    Running(ProcessMark),
    /// Has a result that is not confirmed.
    Done(Arc<TaskResult>),
}

/// One task.
#[derive(Debug)]
pub(crate) struct Held {
    pub envelope: Arc<TaskEnvelope>,
    pub state: State,
    /// How often it was begun again after the agent died under it.
    pub reruns: u32,
    /// A later dispatch that waits for this one's end.
    pub successor: Option<Arc<TaskEnvelope>>,
}

impl Held {
    pub(crate) fn new(envelope: Arc<TaskEnvelope>, state: State) -> Self {
        Self { envelope, state, reruns: 0, successor: None }
    }

    pub(crate) fn occupies_slot(&self) -> bool {
        match self.state {
            State::Starting | State::Running(_) => true,
            State::Received | State::Done(_) => false,
        }
    }

    /// The latest dispatch that was accepted.
    fn key(&self) -> TaskKey {
        TaskKey::of(self.successor.as_ref().unwrap_or(&self.envelope))
    }
}

/// The tasks that the agent has, and what it remembers of those that are over.
#[derive(Debug)]
pub struct Ledger {
    pub(crate) slots: u32,
    pub(crate) tasks: FxHashMap<TaskId, Held>,
    pub(crate) waiting: VecDeque<TaskId>,
    pub(crate) occupied: u32,
    pub(crate) reported: Reported,
    draining: bool,
    /// The journal's name, where orders are looked at for it.
    incarnation: Option<String>,
    /// Whether nothing is begun because there is no runner yet that could say what goes on.
    pub(crate) waits_for_runner: bool,
    troubles: Troubles,
}

/// Why nothing new is taken. It ends by itself.
#[derive(Debug, Default)]
struct Troubles {
    journal: Option<String>,
    host: Option<String>,
    runner: Option<String>,
}

impl Ledger {
    /// An empty ledger that never runs more than `slots` tasks at once (at least one).
    #[must_use]
    pub fn new(slots: u32) -> Self {
        Self {
            slots: slots.max(1),
            tasks: FxHashMap::default(),
            waiting: VecDeque::new(),
            occupied: 0,
            reported: Reported::default(),
            draining: false,
            incarnation: None,
            waits_for_runner: false,
            troubles: Troubles::default(),
        }
    }

    /// Names the journal: orders that were meant for another one are left alone.
    #[must_use]
    pub fn of_journal(mut self, incarnation: String) -> Self {
        self.incarnation = Some(incarnation);
        self
    }

    /// Applies one input and says what follows.
    pub fn apply(&mut self, input: Input, now: Moment) -> Step {
        let mut step = Step::default();
        match input {
            Input::Offer(envelope) => self.offer(*envelope, now, &mut step),
            Input::Cancel(order) => self.cancel(order, now, &mut step),
            Input::Started { key, process } => self.started(key, process, &mut step),
            Input::Exited { key, result } => self.exited(key, *result, &mut step),
            Input::Abandoned(key) => self.abandoned(key, now, &mut step),
            Input::Stored { key, result } => self.stored(key, *result, &mut step),
            Input::Confirmed(keys) => self.confirmed(keys, &mut step),
            Input::Drain => self.draining = true,
            Input::JournalFailed(reason) => self.troubles.journal = Some(format!("its journal cannot be written: {reason}")),
            Input::JournalRecovered => self.troubles.journal = None,
            Input::HostShort(reason) => self.troubles.host = reason,
            Input::RunnerAway(reason) => self.troubles.runner = reason,
        }
        self.start_waiting(now, &mut step);
        step
    }

    /// Results that are not confirmed, in the order in which their tasks ended: to be delivered again after a connection was
    /// made.
    #[must_use]
    pub fn unconfirmed(&self) -> Vec<Effect> {
        let mut done: Vec<_> = self
            .tasks
            .values()
            .filter_map(|held| match &held.state {
                State::Done(result) => Some((held.envelope.clone(), result.clone())),
                State::Received | State::Starting | State::Running(_) => None,
            })
            .collect();
        done.sort_by_key(|(envelope, result)| (result.finished.ended_at, envelope.task_id));
        done.into_iter().map(|(envelope, result)| Effect::Deliver { envelope, result }).collect()
    }

    /// Every task that is ours and not reported and confirmed, with its dispatch: the content of a lease.
    #[must_use]
    pub fn leased(&self) -> Vec<(TaskId, u32)> {
        self.tasks.values().map(|held| (held.key().task_id, held.key().dispatch)).collect()
    }

    /// Slots that are free, with those that wait counted as taken.
    #[must_use]
    pub fn free_slots(&self) -> u32 {
        let waiting = u32::try_from(self.waiting.len()).unwrap_or(u32::MAX);
        self.slots.saturating_sub(self.occupied).saturating_sub(waiting)
    }

    /// Tasks whose process is starting or running.
    #[must_use]
    pub fn occupied(&self) -> u32 {
        self.occupied
    }

    /// Why nothing new is taken, for now.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        let Troubles { journal, host, runner } = &self.troubles;
        [journal, host, runner].into_iter().find_map(Option::as_deref)
    }

    /// Whether it takes nothing new because it ends.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Whether every result is confirmed.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.tasks.values().all(|held| !matches!(held.state, State::Done(_)))
    }

    /// Tasks that have a slot.
    #[must_use]
    pub fn begun(&self) -> Vec<Arc<TaskEnvelope>> {
        self.tasks.values().filter(|held| held.occupies_slot()).map(|held| held.envelope.clone()).collect()
    }

    fn offer(&mut self, envelope: TaskEnvelope, now: Moment, step: &mut Step) {
        let key = TaskKey::of(&envelope);
        step.admission = Some(if let Some(held) = self.tasks.get(&key.task_id) {
            match key.dispatch.cmp(&held.key().dispatch) {
                std::cmp::Ordering::Less => Admission::Stale,
                std::cmp::Ordering::Equal => {
                    if let State::Done(result) = &held.state {
                        let (envelope, result) = (held.envelope.clone(), result.clone());
                        step.effects.push(Effect::Deliver { envelope, result });
                    }
                    Admission::Duplicate
                }
                std::cmp::Ordering::Greater => self.offer_again(envelope, step),
            }
        } else if let Some(admission) = self.offer_of_reported(&envelope, step) {
            admission
        } else {
            self.offer_new(envelope, now, step)
        });
    }

    fn offer_new(&mut self, envelope: TaskEnvelope, now: Moment, step: &mut Step) -> Admission {
        if self.draining {
            return Admission::GivenBack;
        }
        // The manager lost what it had given to an earlier journal when it heard of this one.
        if let (Some(ours), Some(meant)) = (&self.incarnation, &envelope.incarnation)
            && ours != meant
        {
            return Admission::Stale;
        }
        let refusal = match self.trouble() {
            Some(trouble) => Some(format!("the agent takes no more tasks for now: {trouble}")),
            None if self.waiting.len() >= WAITING_MAX => Some(format!("{WAITING_MAX} tasks wait already; no more are taken")),
            None => None,
        };
        if let Some(reason) = refusal {
            let finished = ended_unstarted(Outcome::Refused, reason, now);
            step.effects.push(Effect::Say(Box::new(final_event(&envelope, finished))));
            return Admission::Refused;
        }
        let envelope = Arc::new(envelope);
        step.journal.push(Record::Received(envelope.clone()));
        self.waiting.push_back(envelope.task_id);
        self.tasks.insert(envelope.task_id, Held::new(envelope, State::Received));
        Admission::Accepted
    }

    /// A task that was reported and confirmed is offered: a late copy, or a later dispatch by a manager that did not get
    /// the report. `None` = take it as new.
    fn offer_of_reported(&self, envelope: &TaskEnvelope, step: &mut Step) -> Option<Admission> {
        let (dispatch, report) = self.reported.get(envelope.task_id)?;
        match envelope.dispatch.cmp(&dispatch) {
            std::cmp::Ordering::Less => Some(Admission::Stale),
            std::cmp::Ordering::Equal => {
                if let Some(Report { workflow_id, finished }) = report {
                    step.effects.push(Effect::Say(Box::new(TaskEvent {
                        task_id: envelope.task_id,
                        dispatch,
                        workflow_id: *workflow_id,
                        event: TaskEventKind::Finished(finished.as_ref().clone()),
                    })));
                }
                Some(Admission::Duplicate)
            }
            std::cmp::Ordering::Greater => None,
        }
    }

    /// A later dispatch of a task that is still here: the manager had given the earlier one up.
    fn offer_again(&mut self, envelope: TaskEnvelope, step: &mut Step) -> Admission {
        let envelope = Arc::new(envelope);
        let Some(held) = self.tasks.get_mut(&envelope.task_id) else { return Admission::Stale };
        step.journal.push(Record::Received(envelope.clone()));
        match &held.state {
            State::Received => held.envelope = envelope,
            State::Starting | State::Running(_) => {
                let reason = "the task was given out anew".to_owned();
                step.effects.push(Effect::Stop { key: TaskKey::of(&held.envelope), reason });
                held.successor = Some(envelope);
            }
            State::Done(result) if is_worth_repeating(result.finished.outcome) => {
                let result = result.clone();
                step.journal.push(Record::Done { key: TaskKey::of(&envelope), result: result.clone() });
                held.envelope = envelope.clone();
                step.effects.push(Effect::Deliver { envelope, result });
            }
            State::Done(_) => {
                self.waiting.push_back(envelope.task_id);
                *held = Held::new(envelope, State::Received);
            }
        }
        Admission::Accepted
    }

    fn cancel(&mut self, order: CancelOrder, now: Moment, step: &mut Step) {
        let Some(held) = self.tasks.get_mut(&order.task_id) else { return };
        if order.dispatch < held.key().dispatch {
            return;
        }
        match &held.state {
            State::Received => {
                self.waiting.retain(|id| *id != order.task_id);
                let result = Arc::new(TaskResult {
                    finished: ended_unstarted(Outcome::Cancelled, order.reason, now),
                    properties: Map::new(),
                });
                finish(held, result, step);
            }
            State::Starting | State::Running(_) => {
                if let Some(successor) = held.successor.take() {
                    // Nobody wants the later dispatch any more: the end of the earlier one answers for it.
                    let old = std::mem::replace(&mut held.envelope, successor);
                    step.effects.push(Effect::Stop { key: TaskKey::of(&old), reason: order.reason });
                } else {
                    step.effects.push(Effect::Stop { key: TaskKey::of(&held.envelope), reason: order.reason });
                }
            }
            State::Done(_) => {}
        }
    }

    fn started(&mut self, key: TaskKey, process: ProcessMark, step: &mut Step) {
        let Some(held) = self.tasks.get_mut(&key.task_id) else { return };
        match held.state {
            State::Starting => {
                held.state = State::Running(process);
                step.journal.push(Record::Running { key: TaskKey::of(&held.envelope), process });
            }
            // A start that is told twice or too late changes nothing.
            State::Received | State::Running(_) | State::Done(_) => {}
        }
    }

    fn exited(&mut self, key: TaskKey, result: TaskResult, step: &mut Step) {
        let Some(held) = self.tasks.get_mut(&key.task_id) else { return };
        if !held.occupies_slot() {
            return;
        }
        self.occupied = self.occupied.saturating_sub(1);
        if let Some(successor) = held.successor.take() {
            self.waiting.push_back(key.task_id);
            *held = Held::new(successor, State::Received);
        } else if result.finished.outcome == Outcome::Lost && begin_again(held, step) {
            // An orderly end of the runner leaves a task no further than a power cut does.
            self.waiting.push_back(key.task_id);
        } else {
            finish(held, Arc::new(result), step);
        }
    }

    /// What ran the task is gone, and what was left of the task is ended.
    fn abandoned(&mut self, key: TaskKey, now: Moment, step: &mut Step) {
        let Some(held) = self.tasks.get_mut(&key.task_id) else { return };
        if !held.occupies_slot() || TaskKey::of(&held.envelope) != key {
            return;
        }
        self.occupied = self.occupied.saturating_sub(1);
        if let Some(successor) = held.successor.take() {
            *held = Held::new(successor, State::Received);
            self.waiting.push_back(key.task_id);
        } else if give_up(held, now, step) {
            self.waiting.push_back(key.task_id);
        }
    }

    fn stored(&mut self, key: TaskKey, result: TaskResult, step: &mut Step) {
        let Some(held) = self.tasks.get_mut(&key.task_id) else { return };
        match held.state {
            State::Done(_) if TaskKey::of(&held.envelope) == key => finish(held, Arc::new(result), step),
            // A later dispatch has taken its place.
            State::Received | State::Starting | State::Running(_) | State::Done(_) => {}
        }
    }

    fn confirmed(&mut self, keys: Vec<TaskKey>, step: &mut Step) {
        let mut confirmed = Vec::with_capacity(keys.len());
        for key in keys {
            let Some(held) = self.tasks.get(&key.task_id) else { continue };
            let State::Done(result) = &held.state else { continue };
            if TaskKey::of(&held.envelope) != key {
                continue;
            }
            let report = Report { workflow_id: held.envelope.workflow_id, finished: Arc::new(result.finished.clone()) };
            self.tasks.remove(&key.task_id);
            self.reported.remember(key, Some(report));
            confirmed.push(key);
        }
        if !confirmed.is_empty() {
            step.journal.push(Record::Reported { keys: confirmed });
        }
    }

    /// Gives free slots to those that wait, in order.
    pub(crate) fn start_waiting(&mut self, now: Moment, step: &mut Step) {
        while !self.draining && !self.waits_for_runner && self.occupied < self.slots {
            let Some(task_id) = self.waiting.pop_front() else { return };
            let Some(held) = self.tasks.get_mut(&task_id) else { continue };
            if held.envelope.start_before.is_some_and(|limit| now.manager > limit) {
                let reason = "no slot came free before the moment by which it had to be begun".to_owned();
                let finished = ended_unstarted(Outcome::Refused, reason, now);
                finish(held, Arc::new(TaskResult { finished, properties: Map::new() }), step);
                continue;
            }
            held.state = State::Starting;
            self.occupied += 1;
            step.journal.push(Record::Starting { key: TaskKey::of(&held.envelope) });
            step.effects.push(Effect::Start(held.envelope.clone()));
        }
    }
}
