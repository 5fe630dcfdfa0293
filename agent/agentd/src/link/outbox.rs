//! What is to be said to the manager.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};

use conductor_agent_core::{Fill, TaskKey};
use conductor_model::TenantName;
use conductor_wire::amqp::{TaskEvent, TaskEventKind};
use serde_json::value::RawValue;
use tokio::sync::Notify;

use super::message::json;
use crate::runner_link::frames::Outgoing;
use crate::runner_link::message::{Taken, ToRunner};

/// What becomes of a message that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    /// It is ours and on disk.
    Ack(u64),
    /// It goes back to its queue.
    GiveBack(u64),
    /// It cannot be read.
    Drop(u64),
}

/// An event that waits to be sent.
#[derive(Debug)]
struct Waiting {
    json: String,
    /// Whose progress it is: a newer one takes its place.
    progress_of: Option<TaskKey>,
    /// Whose result it is: somebody waits for its confirmation.
    result_of: Option<TaskKey>,
}

/// A batch of log lines that waits or is on its way: one message. The runner keeps it, and sends no more of them than may wait.
#[derive(Clone, Debug)]
pub struct LogBatch {
    /// Owner of the tasks.
    pub tenant: TenantName,
    /// The lines, a JSON array.
    pub lines: Box<RawValue>,
    /// What the runner calls it.
    pub batch: u64,
    /// The connection that it came by, where the runner waits for word of it.
    pub from: Weak<Outgoing>,
}

/// The outbox. One thread uses it.
#[derive(Debug, Default)]
pub struct Outbox {
    events: RefCell<VecDeque<Waiting>>,
    lines: RefCell<VecDeque<LogBatch>>,
    /// Batches that are on their way.
    lines_sent: Cell<usize>,
    settles: RefCell<Vec<Settle>>,
    /// Whether there is a connection: without one, events are not kept, as what matters is said again anyway.
    connected: Cell<bool>,
    lease_due: Cell<bool>,
    wake: Notify,
}

impl Outbox {
    /// A new outbox, to be shared.
    #[must_use]
    pub fn shared() -> Rc<Self> {
        Rc::default()
    }

    /// Whether there is a connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connected.get()
    }

    /// A connection was made. Whoever has results says them again now.
    pub fn connect(&self) {
        self.connected.set(true);
        self.lease_due.set(true);
        self.wake.notify_one();
    }

    /// The connection is gone: with it every event, and the receipts of messages that will come again.
    pub fn disconnect(&self) {
        self.connected.set(false);
        self.events.borrow_mut().clear();
        self.settles.borrow_mut().clear();
    }

    /// Says an event; with `result_of` its confirmation is told.
    pub fn event(&self, event: &TaskEvent, result_of: Option<TaskKey>) {
        if !self.connected.get() {
            return;
        }
        let key = TaskKey { task_id: event.task_id, dispatch: event.dispatch };
        let progress_of = matches!(event.event, TaskEventKind::Progress { .. }).then_some(key);
        let mut events = self.events.borrow_mut();
        if progress_of.is_some()
            && let Some(older) = events.iter_mut().rev().find(|waiting| waiting.progress_of == progress_of)
        {
            older.json = json(event);
            return;
        }
        events.push_back(Waiting { json: json(event), progress_of, result_of });
        self.wake.notify_one();
    }

    /// Says log lines.
    pub fn lines(&self, batch: LogBatch) {
        self.lines.borrow_mut().push_back(batch);
        self.wake.notify_one();
    }

    /// Forgets log lines that wait: their runner sends them again.
    pub fn forget_lines(&self) {
        self.lines.borrow_mut().clear();
    }

    /// Says what became of a received message.
    pub fn settle(&self, settle: Settle) {
        if self.connected.get() {
            self.settles.borrow_mut().push(settle);
            self.wake.notify_one();
        }
    }

    /// Asks for a lease to be sent soon.
    pub fn renew_lease(&self) {
        self.lease_due.set(true);
        self.wake.notify_one();
    }

    /// Waits until there may be something to do.
    pub async fn wait(&self) {
        self.wake.notified().await;
    }

    /// Whether a lease is due; it counts as sent.
    pub fn take_lease_due(&self) -> bool {
        self.lease_due.take()
    }

    /// What became of received messages, in order.
    pub fn take_settles(&self) -> Vec<Settle> {
        std::mem::take(&mut self.settles.borrow_mut())
    }

    /// As many events as fit into one message, with the results among them. Empty when nothing waits.
    pub fn take_events(&self) -> (Vec<String>, Vec<TaskKey>) {
        let mut events = self.events.borrow_mut();
        let mut fill = Fill::default();
        let (mut taken, mut results) = (Vec::new(), Vec::new());
        while events.front().is_some_and(|event| fill.take(event.json.len())) {
            if let Some(event) = events.pop_front() {
                taken.push(event.json);
                results.extend(event.result_of);
            }
        }
        (taken, results)
    }

    /// Log lines for one message.
    pub fn take_lines(&self) -> Option<LogBatch> {
        let batch = self.lines.borrow_mut().pop_front()?;
        self.lines_sent.set(self.lines_sent.get() + 1);
        Some(batch)
    }

    /// The broker has these lines, and the runner need not keep them.
    pub fn lines_confirmed(&self, batch: &LogBatch) {
        self.lines_sent.set(self.lines_sent.get().saturating_sub(1));
        if let Some(from) = batch.from.upgrade() {
            from.send(&ToRunner::Taken(Taken { ended: Vec::new(), lines: vec![batch.batch] }));
        }
    }

    /// Nobody knows whether the broker has these lines: they are sent again. A line that comes twice has the same number.
    pub fn lines_unconfirmed(&self, batch: LogBatch) {
        self.lines_sent.set(self.lines_sent.get().saturating_sub(1));
        self.lines.borrow_mut().push_front(batch);
    }

    /// Whether nothing waits that must be said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let nothing_waits = self.events.borrow().is_empty() && self.lines.borrow().is_empty();
        nothing_waits && self.lines_sent.get() == 0 && self.settles.borrow().is_empty()
    }
}
