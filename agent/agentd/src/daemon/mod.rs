//! The running agent: what happens goes through the ledger, its records to the journal, and only then its effects happen.
//!
//! One thread does everything but the journal's writes and lapin's input and output. `daemon` is the state, `tasks` has tasks
//! run, `runners` keeps the runner, `answers` gives it what its tasks ask for, `deliver` brings results home, `connect` keeps
//! the manager, `host` looks at what the host has left, `life` is the order of events from start to end.

mod answers;
mod connect;
mod deliver;
mod host;
mod life;
mod receive;
mod runners;
mod start;
mod tasks;
mod trust;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;

use conductor_agent_core::{Effect, Input, Ledger, Moment, Record, Step, TaskKey};
use conductor_model::TaskId;
use tokio::sync::Notify;

use crate::clock;
use crate::identity::Renewed;
use crate::journal::{Journal, JournalEvent};
use crate::link::message::Sender;
use crate::link::outbox::{Outbox, Settle};
use crate::plugins::Plugins;
use crate::policy::PolicyFile;
use crate::rest::Rest;
use crate::settings::Settings;

pub use life::{LifeError, link_ctx, run};

/// What waits for the journal.
#[derive(Debug)]
enum After {
    Effect(Effect),
    Settle(Settle),
    /// Tells the runner that a result is safe.
    Taken(TaskKey),
    /// Notes which life of the runner the tasks are with: what went with another is known as lost now.
    RememberLife(String),
}

/// The running agent's state.
#[derive(Debug)]
pub struct Daemon {
    settings: Settings,
    slots: u32,
    sender: Sender,
    runner: runners::Runner,
    /// What the host lets run.
    policy: PolicyFile,
    /// The user that tasks run as.
    user: String,
    rest: Rc<Rest>,
    plugins: Plugins,
    outbox: Rc<Outbox>,
    ledger: RefCell<Ledger>,
    journal: RefCell<Journal>,
    /// Effects in order, each with the ticket that must be durable first.
    after: RefCell<VecDeque<(u64, After)>>,
    last_ticket: Cell<u64>,
    durable: Cell<u64>,
    running: RefCell<HashMap<TaskId, Rc<tasks::Handle>>>,
    /// Tasks that went with their runner, until what is left of them was killed.
    abandoned: RefCell<Vec<TaskKey>>,
    /// Woken when the runner has swept.
    swept: Notify,
    /// Tasks that the runner has and that were given up here, until they have ended.
    strangers: RefCell<HashSet<TaskKey>>,
    /// Tasks whose results are being brought home.
    delivering: RefCell<HashSet<TaskKey>>,
    /// Who this agent is, where it was enrolled.
    identity: Option<Renewed>,
    /// The key that tasks are verified with, as the manager said at registration.
    task_key: RefCell<String>,
    /// Manager's clock minus ours, in ms.
    manager_offset_ms: Cell<i64>,
    /// Whether there was a connection since this was last asked.
    connected_once: Cell<bool>,
    /// Whether the manager is told that there is no runner.
    is_runner_away: Cell<bool>,
    /// Woken whenever the ledger moved; the drain waits for it.
    moved: Notify,
}

impl Daemon {
    fn moment(&self) -> Moment {
        let here = clock::now();
        Moment { here, manager: here.plus_ms(self.manager_offset_ms.get()) }
    }

    /// Applies an input; its effects follow when they may.
    fn input(self: &Rc<Self>, input: Input) -> Option<conductor_agent_core::Admission> {
        let step = self.ledger.borrow_mut().apply(input, self.moment());
        let admission = step.admission;
        self.follow(step);
        admission
    }

    /// Writes a step's records and queues its effects behind them.
    fn follow(self: &Rc<Self>, step: Step) {
        let Step { admission: _, journal, effects } = step;
        if journal.iter().all(is_lazy) && effects.is_empty() {
            if !journal.is_empty() {
                self.journal.borrow_mut().append_lazily(journal);
            }
        } else {
            if !journal.is_empty() {
                self.last_ticket.set(self.journal.borrow_mut().append(journal));
            }
            for effect in effects {
                self.then(After::Effect(effect));
            }
        }
        self.moved.notify_waiters();
    }

    /// Does something once everything written so far is durable, in order.
    fn then(self: &Rc<Self>, after: After) {
        self.after.borrow_mut().push_back((self.last_ticket.get(), after));
        self.catch_up();
    }

    /// Performs what no longer waits.
    fn catch_up(self: &Rc<Self>) {
        loop {
            let next = {
                let mut after = self.after.borrow_mut();
                match after.front() {
                    Some((ticket, _)) if *ticket <= self.durable.get() => after.pop_front(),
                    Some(_) | None => None,
                }
            };
            match next {
                Some((_, After::Effect(effect))) => self.perform(effect),
                Some((_, After::Settle(settle))) => self.outbox.settle(settle),
                Some((_, After::Taken(key))) => self.take(key),
                Some((_, After::RememberLife(life))) => self.runner.remember_life(&life),
                None => return,
            }
        }
    }

    fn perform(self: &Rc<Self>, effect: Effect) {
        match effect {
            Effect::Start(envelope) => tasks::start(self, envelope),
            Effect::Stop { key, reason } => self.stop(key, reason),
            Effect::Deliver { envelope, result } => deliver::deliver(self, envelope, result),
            Effect::Say(event) => self.outbox.event(&event, None),
        }
    }

    fn journal_said(self: &Rc<Self>, event: JournalEvent) {
        match event {
            JournalEvent::Durable(ticket) => {
                self.durable.set(self.durable.get().max(ticket));
                self.catch_up();
            }
            JournalEvent::Failed(reason) => {
                tracing::error!(reason, "the journal cannot be written; no new tasks are taken until it can");
                self.input(Input::JournalFailed(reason));
                self.outbox.renew_lease();
            }
            JournalEvent::Recovered => {
                tracing::info!("the journal can be written again");
                self.input(Input::JournalRecovered);
                self.outbox.renew_lease();
            }
        }
    }
}

/// Whether nobody waits for the record to be on disk: losing it costs a repetition that is recognised, nothing more.
fn is_lazy(record: &Record) -> bool {
    match record {
        Record::Running { .. } | Record::Reported { .. } => true,
        Record::Received(_) | Record::Starting { .. } | Record::Rerun { .. } | Record::Done { .. } => false,
    }
}
