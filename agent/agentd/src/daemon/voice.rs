//! A task's words on their way to the manager.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use conductor_agent_core::{Input, ProcessMark, TaskKey};
use conductor_model::{LogLine, LogStream, Timestamp};
use conductor_wire::amqp::{TaskEnvelope, TaskEvent, TaskEventKind};
use serde_json::value::RawValue;

use super::Daemon;
use crate::clock;
use crate::runner::{Outlet, Voice};

/// The outlet of one task.
#[derive(Debug)]
pub(super) struct ToManager {
    pub daemon: Weak<Daemon>,
    pub envelope: Arc<TaskEnvelope>,
    pub seq: Cell<u64>,
    pub started_at: Cell<Option<Timestamp>>,
}

/// A running task as `ctx` sees it.
#[derive(Debug)]
pub(crate) struct Spoken {
    pub envelope: Arc<TaskEnvelope>,
    pub input: Arc<RawValue>,
    pub voice: Rc<Voice>,
    /// Where properties that are set are written to; shared with what is written at the end.
    pub storing: RefCell<()>,
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

    fn started(&self, process: ProcessMark) {
        let Some(daemon) = self.daemon.upgrade() else { return };
        self.started_at.set(Some(clock::now()));
        daemon.input(Input::Started { key: TaskKey::of(&self.envelope), process });
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

    fn properties(&self) {}
}
