//! A task's words on their way to the agent.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use conductor_agent_core::{ProcessMark, TaskKey};
use conductor_agent_log::Waiting;
use conductor_model::{LogLine, LogStream, TenantName, Timestamp};
use serde_json::{Map, Value};
use tokio::task::AbortHandle;

use super::Desk;
use crate::clock;
use crate::runner::{Outlet, Voice};
use crate::runner_link::message::FromRunner;

/// How long properties wait for others: a short task's are stored once, at its end.
const STORE_AFTER: Duration = Duration::from_millis(100);
/// With so many bytes unwritten, how far a task is goes untold: it will be further when there is room.
const PROGRESS_BYTES_MAX: usize = 256 * 1024;
/// How a line of the event channel begins that only matters for finding faults.
const DEBUG_START: &str = "debug: ";

/// The outlet of one task.
#[derive(Debug)]
pub struct ToAgent {
    desk: Weak<Desk>,
    key: TaskKey,
    tenant: TenantName,
    instance: String,
    /// The last log line's number.
    pub seq: Cell<u64>,
    /// When it was begun.
    pub started_at: Cell<Option<Timestamp>>,
    /// In which process.
    pub process: Cell<Option<ProcessMark>>,
    /// What was said of the task, for storing its properties while it runs.
    pub voice: OnceCell<Weak<Voice>>,
    waits: RefCell<Option<AbortHandle>>,
    /// What the agent is storing now.
    storing: RefCell<Option<Map<String, Value>>>,
}

impl ToAgent {
    /// The outlet of a task that has said nothing yet.
    #[must_use]
    pub fn new(desk: Weak<Desk>, key: TaskKey, tenant: TenantName, instance: String) -> Self {
        Self {
            desk,
            key,
            tenant,
            instance,
            seq: Cell::new(0),
            started_at: Cell::new(None),
            process: Cell::new(None),
            voice: OnceCell::new(),
            waits: RefCell::default(),
            storing: RefCell::default(),
        }
    }

    /// Says again that the task was begun: to an agent that may not know it.
    pub fn say_started(&self, desk: &Desk) {
        if let Some(at) = self.started_at.get() {
            desk.line.send(&FromRunner::Started { key: self.key, at, process: self.process.get() });
        }
    }

    /// What became of the properties that were sent.
    pub fn stored(self: &Rc<Self>, done: bool) {
        let Some(sent) = self.storing.borrow_mut().take() else { return };
        let Some(voice) = self.voice.get().and_then(Weak::upgrade) else { return };
        if !done {
            return;
        }
        let is_more = {
            let unstored = &mut voice.said.borrow_mut().properties;
            // A key that was set again meanwhile stays.
            unstored.retain(|key, value| sent.get(key) != Some(value));
            !unstored.is_empty()
        };
        if is_more {
            self.store_soon();
        }
    }

    /// The connection is gone: what was being stored travels with the result, or with what is set next.
    pub fn disconnected(&self) {
        *self.storing.borrow_mut() = None;
    }

    fn store_soon(&self) {
        if self.storing.borrow().is_some() || self.waits.borrow().as_ref().is_some_and(|waits| !waits.is_finished()) {
            return;
        }
        let (desk, voice) = (self.desk.clone(), self.voice.get().cloned());
        let key = self.key;
        let waiting = tokio::task::spawn_local(async move {
            tokio::time::sleep(STORE_AFTER).await;
            if let (Some(desk), Some(voice)) = (desk.upgrade(), voice.and_then(|voice| voice.upgrade())) {
                desk.store_properties(key, &voice.said.borrow().properties);
            }
        });
        *self.waits.borrow_mut() = Some(waiting.abort_handle());
    }

    /// Sends properties to be stored, those that came close together at once.
    pub(super) fn send_properties(&self, desk: &Desk, unstored: &Map<String, Value>) {
        if !unstored.is_empty() && desk.line.is_connected() && self.storing.borrow().is_none() {
            *self.storing.borrow_mut() = Some(unstored.clone());
            let (instance, values) = (self.instance.clone(), unstored.clone());
            desk.line.send(&FromRunner::Properties { key: self.key, instance, values });
        }
    }
}

impl Outlet for ToAgent {
    fn log(&self, stream: LogStream, text: String) {
        let Some(desk) = self.desk.upgrade() else { return };
        let seq = self.seq.get() + 1;
        self.seq.set(seq);
        let is_debug = stream == LogStream::Event && text.starts_with(DEBUG_START);
        let now = clock::now();
        let line = LogLine { task_id: self.key.task_id, seq, at: now, stream, text };
        desk.spool.borrow_mut().push(Waiting::new(self.tenant.clone(), is_debug, &line), now);
        desk.pour.notify_one();
    }

    fn progress(&self, percent: Option<f64>, message: Option<String>) {
        let Some(desk) = self.desk.upgrade() else { return };
        if desk.line.waiting_bytes() < PROGRESS_BYTES_MAX {
            desk.line.send(&FromRunner::Progress { key: self.key, at: clock::now(), percent, message });
        }
    }

    fn started(&self, process: Option<ProcessMark>) {
        self.started_at.set(Some(clock::now()));
        self.process.set(process);
        if let Some(desk) = self.desk.upgrade() {
            self.say_started(&desk);
        }
    }

    fn properties(&self) {
        self.store_soon();
    }
}
