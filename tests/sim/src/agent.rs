//! An agent: the real agent core over a journal that survives, with processes that are played.

use std::collections::BTreeMap;

use conductor_agent_core::{Effect, Fate, Input, Ledger, Moment, ProcessMark, Record, Step, TaskKey, TaskResult};
use conductor_manager::app::core::{CommandError, CoreHandle, Message, Sender};
use conductor_model::{AgentId, AgentRecord, AgentState, Outcome, TaskId, Timestamp};
use conductor_wire::amqp::{Lease, TaskEnvelope, TaskEvent, TaskEventKind, TaskFinished, ToAgentItem};
use rand::Rng;
use rand::rngs::StdRng;
use serde_json::Map;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use crate::scenario::tenant;

/// Tasks that an agent runs at once.
const SLOTS: u32 = 2;
/// A result that is not confirmed is said again after so many ms.
const SAY_AGAIN_MS: i64 = 4_000;

/// A process that is played.
struct Process {
    ends: Timestamp,
    /// It ends because its time is up.
    overdue: bool,
    cancelled: bool,
}

/// How it stands with the manager.
enum Membership {
    /// It presents itself, and may wait for the answer.
    Joining(Option<oneshot::Receiver<Result<(), CommandError>>>),
    /// It was let in.
    Member,
    /// Somebody removed it; it presents itself again at a moment.
    Removed(Timestamp),
}

/// A result to be told.
struct Told {
    /// How many results there were before it.
    number: u64,
    event: TaskEvent,
    said_at: Timestamp,
}

/// See the module's text.
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    membership: Membership,
    /// Which journal it is: the incarnation that the manager is told.
    journals: u32,
    ledger: Option<Ledger>,
    journal: Vec<Record>,
    processes: BTreeMap<TaskKey, Process>,
    results: BTreeMap<TaskKey, Told>,
    /// It is down or cut off until then.
    pub down_until: Timestamp,
    /// Nothing reaches it or comes from it until then.
    pub cut_until: Timestamp,
    was_cut: bool,
    /// When it renews its lease.
    pub lease_at: Timestamp,
    /// How often each task that must not run twice was begun.
    pub begun_once: BTreeMap<TaskId, u32>,
    /// When the tasks ended whose results the broker has, in the order in which it got them.
    pub told: Vec<Timestamp>,
    numbers: u64,
    pids: i32,
}

impl Agent {
    /// A new one with an empty journal.
    pub fn new(id: AgentId) -> Self {
        Self {
            id,
            membership: Membership::Joining(None),
            journals: 1,
            ledger: None,
            journal: Vec::new(),
            processes: BTreeMap::new(),
            results: BTreeMap::new(),
            down_until: Timestamp(0),
            cut_until: Timestamp(0),
            was_cut: false,
            lease_at: Timestamp(0),
            begun_once: BTreeMap::new(),
            told: Vec::new(),
            numbers: 0,
            pids: 1,
        }
    }

    fn incarnation(&self) -> String {
        format!("journal {}", self.journals)
    }

    /// As it presents itself in messages.
    pub fn sender(&self) -> Sender {
        Sender { agent: self.id.clone(), incarnation: self.incarnation(), clock_ahead_ms: 0 }
    }

    /// As it registers.
    fn record(&self, now: Timestamp) -> AgentRecord {
        AgentRecord {
            id: self.id.clone(),
            tenant: tenant(),
            name: self.id.to_string(),
            state: AgentState::Offline,
            state_reason: None,
            labels: Default::default(),
            facts: Map::new(),
            slots: SLOTS,
            version: "1".to_owned(),
            protocol: 1,
            incarnation: self.incarnation(),
            registered_at: now,
            last_seen_at: now,
            cordon: None,
        }
    }

    /// The clock was set.
    pub fn shift(&mut self, ms: i64) {
        for at in [&mut self.down_until, &mut self.cut_until, &mut self.lease_at] {
            *at = at.plus_ms(ms);
        }
        if let Membership::Removed(until) = &mut self.membership {
            *until = until.plus_ms(ms);
        }
        for process in self.processes.values_mut() {
            process.ends = process.ends.plus_ms(ms);
        }
        for result in self.results.values_mut() {
            result.said_at = result.said_at.plus_ms(ms);
        }
    }

    /// It crashes: what it had in memory is gone, its processes with it.
    pub fn crash(&mut self, until: Timestamp) {
        self.ledger = None;
        self.processes.clear();
        self.results.clear();
        self.down_until = until;
        if !self.is_removed() {
            self.membership = Membership::Joining(None);
        }
    }

    /// It crashes and its disk is gone: it comes back with a new journal and knows nothing of what it did.
    pub fn lose_journal(&mut self, until: Timestamp) {
        self.crash(until);
        self.journal.clear();
        self.journals += 1;
    }

    /// Somebody has removed it. What it does goes on, and nobody hears of it until it presents itself again.
    pub fn remove(&mut self, until: Timestamp) {
        self.membership = Membership::Removed(until);
    }

    /// Whether it was removed and has not presented itself again: it has no queue.
    pub fn is_removed(&self) -> bool {
        matches!(self.membership, Membership::Removed(_))
    }

    /// Presents itself to the manager, until that has let it in.
    pub fn join(&mut self, now: Timestamp, manager: &CoreHandle) {
        match &mut self.membership {
            Membership::Removed(until) if *until <= now => self.membership = Membership::Joining(None),
            Membership::Joining(Some(answer)) => match answer.try_recv() {
                Ok(Ok(())) => self.membership = Membership::Member,
                Err(TryRecvError::Empty) => {}
                Ok(Err(_)) | Err(TryRecvError::Closed) => self.membership = Membership::Joining(None),
            },
            Membership::Joining(None) if self.ledger.is_some() && self.cut_until <= now => {
                let (reply, answer) = oneshot::channel();
                manager.tell(Message::Register { record: Box::new(self.record(now)), reply });
                self.membership = Membership::Joining(Some(answer));
            }
            Membership::Joining(None) | Membership::Removed(_) | Membership::Member => {}
        }
    }

    /// Whether something can reach it now.
    pub fn is_reachable(&self, now: Timestamp) -> bool {
        self.ledger.is_some() && self.cut_until <= now && matches!(self.membership, Membership::Member)
    }

    /// What it says of itself.
    pub fn lease(&self) -> Option<Lease> {
        let ledger = self.ledger.as_ref()?;
        let mut tasks = ledger.leased();
        tasks.sort_unstable();
        Some(Lease { tasks, draining: false, reason: String::new(), free_slots: ledger.free_slots(), host: String::new() })
    }

    /// An item of the manager's arrives.
    pub fn receive(&mut self, item: ToAgentItem, now: Timestamp, random: &mut StdRng) -> Vec<TaskEvent> {
        let input = match item {
            ToAgentItem::Task(envelope) => Input::Offer(envelope),
            ToAgentItem::Cancel(order) => Input::Cancel(order),
        };
        self.apply(input, now, random)
    }

    /// Which of its processes run.
    pub fn running(&self) -> impl Iterator<Item = &TaskKey> {
        self.processes.keys()
    }

    /// How many results the broker does not have.
    pub fn untold(&self) -> usize {
        self.results.len()
    }

    /// The broker has a result.
    pub fn confirmed(&mut self, key: TaskKey, now: Timestamp, random: &mut StdRng) {
        if let Some(told) = self.results.remove(&key) {
            if let TaskEventKind::Finished(finished) = &told.event.event {
                self.told.push(finished.ended_at);
            }
            self.apply(Input::Confirmed(vec![key]), now, random);
        }
    }

    /// A moment of its life: what it says.
    pub fn live(&mut self, now: Timestamp, random: &mut StdRng) -> Vec<TaskEvent> {
        let mut said = Vec::new();
        if self.ledger.is_none() {
            if self.down_until > now {
                return said;
            }
            let recovered = Ledger::recover(SLOTS, self.journal.iter().cloned()).of_journal(self.incarnation());
            let (ledger, step) = recovered.resume(Moment { here: now, manager: now }, |_| Fate::Gone);
            self.ledger = Some(ledger);
            said.extend(self.follow(step, now, random));
        }
        let ended: Vec<_> = self.processes.iter().filter(|(_, process)| process.ends <= now).map(|(key, _)| *key).collect();
        for key in ended {
            let Some(process) = self.processes.remove(&key) else { continue };
            let outcome = match random.random_range(0..100) {
                _ if process.cancelled => Outcome::Cancelled,
                _ if process.overdue => Outcome::TimedOut,
                0..5 => Outcome::Failed,
                _ => Outcome::Succeeded,
            };
            let result = Box::new(TaskResult { finished: finished(outcome, now), properties: Map::new() });
            said.extend(self.apply(Input::Exited { key, result }, now, random));
        }
        let is_back = std::mem::replace(&mut self.was_cut, self.cut_until > now) && !self.was_cut;
        if is_back || self.results.values().any(|result| now.ms_since(result.said_at) >= SAY_AGAIN_MS) {
            // The oldest first: what came of one task is never overtaken by what came of a later one.
            let mut untold: Vec<_> = self.results.values_mut().collect();
            untold.sort_unstable_by_key(|result| result.number);
            for result in untold {
                result.said_at = now;
                said.push(result.event.clone());
            }
        }
        said
    }

    fn apply(&mut self, input: Input, now: Timestamp, random: &mut StdRng) -> Vec<TaskEvent> {
        let Some(ledger) = &mut self.ledger else { return Vec::new() };
        let step = ledger.apply(input, Moment { here: now, manager: now });
        self.follow(step, now, random)
    }

    /// Makes a step's records durable, then does what it says.
    fn follow(&mut self, step: Step, now: Timestamp, random: &mut StdRng) -> Vec<TaskEvent> {
        self.journal.extend(step.journal);
        let mut said = Vec::new();
        for effect in step.effects {
            match effect {
                Effect::Start(envelope) => {
                    let key = TaskKey::of(&envelope);
                    if !envelope.idempotent {
                        *self.begun_once.entry(envelope.task_id).or_default() += 1;
                    }
                    let process = begun(&envelope, now, random);
                    self.processes.insert(key, process);
                    self.pids += 1;
                    let process = ProcessMark { pid: self.pids, start_ticks: 1 };
                    said.push(TaskEvent {
                        task_id: key.task_id,
                        dispatch: key.dispatch,
                        workflow_id: envelope.workflow_id,
                        event: TaskEventKind::Started { at: now },
                    });
                    said.extend(self.apply(Input::Started { key, process }, now, random));
                }
                Effect::Stop { key, .. } => {
                    if let Some(process) = self.processes.get_mut(&key) {
                        process.ends = now.plus_ms(100);
                        process.cancelled = true;
                    }
                }
                Effect::Deliver { envelope, result } => {
                    let key = TaskKey::of(&envelope);
                    let event = TaskEvent {
                        task_id: key.task_id,
                        dispatch: key.dispatch,
                        workflow_id: envelope.workflow_id,
                        event: TaskEventKind::Finished(result.finished.clone()),
                    };
                    self.numbers += 1;
                    self.results.insert(key, Told { number: self.numbers, event: event.clone(), said_at: now });
                    said.push(event);
                }
                Effect::Say(event) => said.push(*event),
            }
        }
        said
    }
}

/// A process that ends by itself, or would hang if its time were not up at some point.
fn begun(envelope: &TaskEnvelope, now: Timestamp, random: &mut StdRng) -> Process {
    let by_itself = now.plus_ms(random.random_range(50..6_000));
    let hangs = random.random_bool(0.1);
    let time_is_up = envelope.run_timeout_ms.and_then(|ms| i64::try_from(ms).ok()).map(|ms| now.plus_ms(ms));
    let ends = match time_is_up {
        Some(end) if hangs => end,
        Some(end) => end.min(by_itself),
        None => by_itself,
    };
    Process { ends, overdue: time_is_up == Some(ends), cancelled: false }
}

fn finished(outcome: Outcome, now: Timestamp) -> TaskFinished {
    TaskFinished {
        outcome,
        output: Map::new(),
        output_by_reference: false,
        reason: None,
        exit_code: None,
        started_at: Some(now),
        ended_at: now,
        log_lines: 0,
    }
}
