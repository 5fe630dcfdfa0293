//! A ledger from its journal.

use std::sync::Arc;

use conductor_model::Outcome;
use conductor_wire::amqp::TaskEnvelope;
use serde_json::Map;

use crate::ledger::{Held, Ledger, State};
use crate::limits::RERUNS_MAX;
use crate::outcome::{ended_unstarted, finish};
use crate::record::{ProcessMark, Record, TaskKey, TaskResult};
use crate::step::{Effect, Moment, Step};

/// What became of a task that was begun and has no result, as far as its runner shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The runner has it.
    Runs,
    /// It never came to the runner, which would know.
    NotBegun,
    /// Its runner is gone; nobody knows how far it came.
    Gone,
}

/// A task of an earlier life of the agent that was begun and has no result. Where it is [`Fate::Gone`], what is left of it must
/// be ended before the step of [`Recovered::resume`] is followed.
#[derive(Clone, Debug)]
pub struct Orphan {
    /// Which.
    pub key: TaskKey,
    /// Its process, where it had come that far.
    pub process: Option<ProcessMark>,
}

/// A ledger that was read from the journal and has not gone on yet.
#[derive(Debug)]
pub struct Recovered {
    ledger: Ledger,
    /// What may still run from the earlier life.
    pub orphans: Vec<Orphan>,
}

impl Ledger {
    /// Reads the records of an earlier life, in order.
    #[must_use]
    pub fn recover(slots: u32, records: impl IntoIterator<Item = Record>) -> Recovered {
        let mut recovered = Recovered { ledger: Self::new(slots), orphans: Vec::new() };
        for record in records {
            recovered.replay(record);
        }
        recovered
    }

    fn held_mut(&mut self, key: TaskKey) -> Option<&mut Held> {
        self.tasks.get_mut(&key.task_id).filter(|held| TaskKey::of(&held.envelope) == key)
    }
}

impl Recovered {
    /// See [`Ledger::of_journal`].
    #[must_use]
    pub fn of_journal(mut self, incarnation: String) -> Self {
        self.ledger = self.ledger.of_journal(incarnation);
        self
    }

    fn replay(&mut self, record: Record) {
        let ledger = &mut self.ledger;
        match record {
            Record::Received(envelope) => {
                let previous = ledger.tasks.insert(envelope.task_id, Held::new(envelope, State::Received));
                if let Some(previous) = previous {
                    self.orphans.extend(orphan_of(&previous));
                }
            }
            Record::Starting { key } => {
                if let Some(held) = ledger.held_mut(key) {
                    held.state = State::Starting;
                }
            }
            Record::Running { key, process } => {
                if let Some(held) = ledger.held_mut(key) {
                    held.state = State::Running(process);
                }
            }
            Record::Rerun { key, count } => {
                if let Some(held) = ledger.held_mut(key) {
                    held.state = State::Received;
                    held.reruns = count;
                }
            }
            Record::Done { key, result } => {
                if let Some(held) = ledger.held_mut(key) {
                    held.state = State::Done(result);
                }
            }
            Record::Reported { keys } => {
                for key in keys {
                    ledger.tasks.remove(&key.task_id);
                    ledger.reported.remember(key, None);
                }
            }
        }
    }

    /// Tasks that were begun and have no result, with those that a later dispatch replaced.
    #[must_use]
    pub fn all_orphans(&self) -> Vec<Orphan> {
        let begun = self.ledger.tasks.values().filter_map(orphan_of);
        self.orphans.iter().cloned().chain(begun).collect()
    }

    /// Goes on: tasks that run keep their slots, those that were not begun or may run again wait for one, the others are lost;
    /// results that were not confirmed are delivered again.
    #[must_use]
    pub fn resume(self, now: Moment, fate: impl Fn(TaskKey) -> Fate) -> (Ledger, Step) {
        let (mut ledger, mut step) = self.wait_for_runner();
        let more = ledger.meet_runner(now, fate);
        step.journal.extend(more.journal);
        step.effects.extend(more.effects);
        (ledger, step)
    }

    /// Goes on as far as that is possible without a runner: nothing is begun, what was begun keeps its slot, and results that
    /// were not confirmed are delivered again.
    #[must_use]
    pub fn wait_for_runner(self) -> (Ledger, Step) {
        let mut ledger = self.ledger;
        ledger.waits_for_runner = true;
        let begun = ledger.tasks.values().filter(|held| held.occupies_slot()).count();
        ledger.occupied = u32::try_from(begun).unwrap_or(u32::MAX);
        let mut received: Vec<_> = ledger.tasks.values().filter(|held| matches!(held.state, State::Received)).collect();
        received.sort_unstable_by_key(|held| held.envelope.task_id);
        let waiting = received.iter().map(|held| held.envelope.task_id).collect();
        ledger.waiting = waiting;
        let effects = ledger.unconfirmed();
        (ledger, Step { effects, ..Step::default() })
    }
}

impl Ledger {
    /// There is a runner, which says what became of what was begun before it was met.
    pub fn meet_runner(&mut self, now: Moment, fate: impl Fn(TaskKey) -> Fate) -> Step {
        let mut step = Step::default();
        self.waits_for_runner = false;
        self.occupied = 0;
        self.waiting.clear();
        let mut ids: Vec<_> = self.tasks.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let Some(held) = self.tasks.get_mut(&id) else { continue };
            let waits = match &held.state {
                State::Received => true,
                State::Starting | State::Running(_) => match (fate(TaskKey::of(&held.envelope)), held.successor.take()) {
                    (Fate::Runs, successor) => {
                        self.occupied += 1;
                        if successor.is_some() {
                            let reason = "the task was given out anew".to_owned();
                            step.effects.push(Effect::Stop { key: TaskKey::of(&held.envelope), reason });
                        }
                        held.successor = successor;
                        false
                    }
                    (Fate::NotBegun | Fate::Gone, Some(successor)) => {
                        *held = Held::new(successor, State::Received);
                        true
                    }
                    (Fate::NotBegun, None) => {
                        held.state = State::Received;
                        step.journal.push(Record::Rerun { key: TaskKey::of(&held.envelope), count: held.reruns });
                        true
                    }
                    (Fate::Gone, None) => give_up(held, now, &mut step),
                },
                State::Done(_) => false,
            };
            if waits {
                self.waiting.push_back(id);
            }
        }
        self.start_waiting(now, &mut step);
        step
    }
}

/// Nobody knows how far a task came: whether it waits to run again. Otherwise it is lost.
pub(crate) fn give_up(held: &mut Held, now: Moment, step: &mut Step) -> bool {
    if begin_again(held, step) {
        return true;
    }
    let reason = "what ran it was gone while it ran; nobody knows how far it came".to_owned();
    let finished = ended_unstarted(Outcome::Lost, reason, now);
    finish(held, Arc::new(TaskResult { finished, properties: Map::new() }), step);
    false
}

/// Lets a task wait to run again, where it may.
pub(crate) fn begin_again(held: &mut Held, step: &mut Step) -> bool {
    if !may_run_again(&held.envelope, held.reruns) {
        return false;
    }
    held.state = State::Received;
    held.reruns += 1;
    step.journal.push(Record::Rerun { key: TaskKey::of(&held.envelope), count: held.reruns });
    true
}

fn may_run_again(envelope: &TaskEnvelope, reruns: u32) -> bool {
    envelope.idempotent && reruns < RERUNS_MAX
}

fn orphan_of(held: &Held) -> Option<Orphan> {
    let key = TaskKey::of(&held.envelope);
    match held.state {
        State::Starting => Some(Orphan { key, process: None }),
        State::Running(process) => Some(Orphan { key, process: Some(process) }),
        State::Received | State::Done(_) => None,
    }
}
