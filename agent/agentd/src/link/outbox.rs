//! What is to be said to the manager.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use conductor_agent_core::TaskKey;
use conductor_model::{LogLine, TenantName};
use conductor_wire::amqp::{TaskEvent, TaskEventKind};
use tokio::sync::Notify;

use super::message::{Fill, json};

/// Most bytes of log lines that wait to be sent; a task that writes faster is held back.
const LOG_BYTES_MAX: usize = 512 * 1024;
/// Most bytes of log lines that are kept at all. Between the two limits goes what tasks had written when they were held back.
const LOG_BYTES_HARD_MAX: usize = 4 * LOG_BYTES_MAX;

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

/// A batch of log lines that waits or is on its way.
#[derive(Clone, Debug)]
pub struct LogBatch {
    /// Owner of the tasks.
    pub tenant: TenantName,
    /// The lines as JSON.
    pub lines: Vec<String>,
}

#[derive(Debug)]
struct WaitingLine {
    tenant: TenantName,
    json: String,
}

/// The outbox. One thread uses it.
#[derive(Debug, Default)]
pub struct Outbox {
    events: RefCell<VecDeque<Waiting>>,
    lines: RefCell<VecDeque<WaitingLine>>,
    line_bytes: Cell<usize>,
    settles: RefCell<Vec<Settle>>,
    /// Whether there is a connection: without one, events are not kept, as what matters is said again anyway.
    connected: Cell<bool>,
    lease_due: Cell<bool>,
    wake: Notify,
    room: Notify,
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

    /// Says a log line; `false` when there is no room for it.
    pub fn line(&self, tenant: &TenantName, line: &LogLine) -> bool {
        if self.line_bytes.get() >= LOG_BYTES_HARD_MAX {
            return false;
        }
        let json = json(line);
        self.line_bytes.set(self.line_bytes.get() + json.len());
        self.lines.borrow_mut().push_back(WaitingLine { tenant: tenant.clone(), json });
        self.wake.notify_one();
        true
    }

    /// Whether log lines are taken.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.line_bytes.get() < LOG_BYTES_MAX
    }

    /// Waits until log lines may be taken again.
    pub async fn room(&self) {
        self.room.notified().await;
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

    /// As many log lines as fit into one message.
    pub fn take_lines(&self) -> Option<LogBatch> {
        let mut lines = self.lines.borrow_mut();
        let tenant = lines.front()?.tenant.clone();
        let mut fill = Fill::default();
        let mut batch = LogBatch { tenant, lines: Vec::new() };
        while lines.front().is_some_and(|line| line.tenant == batch.tenant && fill.take(line.json.len())) {
            batch.lines.extend(lines.pop_front().map(|line| line.json));
        }
        Some(batch)
    }

    /// The broker has these lines.
    pub fn lines_confirmed(&self, batch: &LogBatch) {
        let bytes: usize = batch.lines.iter().map(String::len).sum();
        self.line_bytes.set(self.line_bytes.get().saturating_sub(bytes));
        if self.has_room() {
            self.room.notify_waiters();
        }
    }

    /// Nobody knows whether the broker has these lines: they are sent again. A line that comes twice has the same number.
    pub fn lines_unconfirmed(&self, batch: LogBatch) {
        let mut lines = self.lines.borrow_mut();
        for json in batch.lines.into_iter().rev() {
            lines.push_front(WaitingLine { tenant: batch.tenant.clone(), json });
        }
    }

    /// Whether nothing waits that must be said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.borrow().is_empty() && self.lines.borrow().is_empty() && self.settles.borrow().is_empty()
    }
}
