//! A task's words on their way to the manager.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use conductor_agent_core::{Input, ProcessMark, TaskKey};
use conductor_model::{LogLine, LogStream, Timestamp};
use conductor_wire::amqp::{TaskEnvelope, TaskEvent, TaskEventKind};

use tokio::task::AbortHandle;

use super::Daemon;
use crate::clock;
use crate::runner::{Outlet, Voice};

/// How long properties wait for others: a short task's are stored once, at its end.
const STORE_AFTER: Duration = Duration::from_millis(100);

/// The outlet of one task.
#[derive(Debug)]
pub(super) struct ToManager {
    pub daemon: Weak<Daemon>,
    pub envelope: Arc<TaskEnvelope>,
    pub seq: Cell<u64>,
    pub started_at: Cell<Option<Timestamp>>,
    /// What was said of the task, for storing its properties while it runs.
    pub voice: OnceCell<Weak<Voice>>,
    /// Stores properties while the task runs.
    pub storing: RefCell<Option<AbortHandle>>,
}

impl ToManager {
    fn event(&self, event: TaskEventKind) -> TaskEvent {
        TaskEvent {
            task_id: self.envelope.task_id,
            dispatch: self.envelope.dispatch,
            workflow_id: self.envelope.workflow_id,
            event,
        }
    }
}

impl Outlet for ToManager {
    fn log(&self, stream: LogStream, text: String) -> bool {
        let Some(daemon) = self.daemon.upgrade() else { return false };
        let seq = self.seq.get() + 1;
        let line = LogLine { task_id: self.envelope.task_id, seq, at: clock::now(), stream, text };
        let taken = daemon.outbox.line(&self.envelope.tenant, &line);
        if taken {
            self.seq.set(seq);
        }
        taken
    }

    fn progress(&self, percent: Option<f64>, message: Option<String>) {
        if let Some(daemon) = self.daemon.upgrade() {
            daemon.outbox.event(&self.event(TaskEventKind::Progress { at: clock::now(), percent, message }), None);
        }
    }

    fn started(&self, process: Option<ProcessMark>) {
        let Some(daemon) = self.daemon.upgrade() else { return };
        self.started_at.set(Some(clock::now()));
        // Processes that serve many tasks are known by a mark of their own after a crash.
        if let Some(process) = process {
            daemon.input(Input::Started { key: TaskKey::of(&self.envelope), process });
        }
    }

    fn has_room(&self) -> bool {
        self.daemon.upgrade().is_none_or(|daemon| daemon.outbox.has_room())
    }

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + '_>> {
        let outbox = self.daemon.upgrade().map(|daemon| daemon.outbox.clone());
        Box::pin(async move {
            if let Some(outbox) = outbox {
                outbox.room().await;
            }
        })
    }

    fn properties(&self) {
        let (Some(daemon), Some(voice)) = (self.daemon.upgrade(), self.voice.get()) else { return };
        let mut storing = self.storing.borrow_mut();
        if storing.as_ref().is_none_or(AbortHandle::is_finished) {
            let instance = self.envelope.node_instance.clone();
            *storing = Some(tokio::task::spawn_local(store(daemon, voice.clone(), instance)).abort_handle());
        }
    }
}

/// Stores properties while their task runs, those that come close together at once. What is not stored when the task ends
/// is stored before its result is told.
async fn store(daemon: Rc<Daemon>, voice: Weak<Voice>, instance: String) {
    loop {
        tokio::time::sleep(STORE_AFTER).await;
        let Some(unstored) = voice.upgrade().map(|voice| voice.said.borrow().properties.clone()) else { return };
        if unstored.is_empty() {
            return;
        }
        if let Err(error) = daemon.rest.merge_properties(&instance, &unstored).await {
            tracing::debug!(error = %conductor_boot::report(&error), "runtime properties are stored when their task ends");
            return;
        }
        let Some(voice) = voice.upgrade() else { return };
        // A key that was set again meanwhile stays.
        voice.said.borrow_mut().properties.retain(|key, value| unstored.get(key) != Some(value));
    }
}
