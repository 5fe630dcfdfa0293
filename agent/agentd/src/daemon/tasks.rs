//! Running one task, from its slot to its result.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use conductor_agent_core::{Input, TaskKey, TaskResult};
use conductor_model::{Outcome, Timestamp};
use conductor_plugin::Mode;
use conductor_wire::amqp::{TaskEnvelope, TaskEvent, TaskEventKind, TaskFinished};
use tokio::sync::watch;
use tokio::time::Instant;

use super::voice::ToManager;
use super::{Daemon, start};
use crate::clock;
use crate::runner::ending::stopped;
use crate::runner::{Ending, Host, Job, Stop, Voice, oneshot, persistent};

/// A task is said to have started once it has run this long; `Finished` says it of shorter ones.
const STARTED_AFTER: Duration = Duration::from_millis(150);
/// Longest reason in characters.
const REASON_CHARS_MAX: usize = 4000;

/// A task that has a slot.
#[derive(Debug)]
pub(super) struct Handle {
    key: TaskKey,
    stop: watch::Sender<Option<Stop>>,
    outlet: Rc<ToManager>,
}

/// Starts a task in its slot.
pub(super) fn start(daemon: &Rc<Daemon>, envelope: Arc<TaskEnvelope>) {
    let key = TaskKey::of(&envelope);
    let outlet = Rc::new(ToManager {
        daemon: Rc::downgrade(daemon),
        envelope: envelope.clone(),
        seq: Cell::new(0),
        started_at: Cell::new(None),
        voice: OnceCell::new(),
        storing: RefCell::default(),
    });
    let (stop, stop_asked) = watch::channel(None);
    daemon.running.borrow_mut().insert(key.task_id, Handle { key, stop, outlet: outlet.clone() });
    let daemon = daemon.clone();
    tokio::task::spawn_local(async move {
        let voice = Rc::new(Voice::new(outlet.clone()));
        // Set once, here.
        let _ = outlet.voice.set(Rc::downgrade(&voice));
        let result = execute(&daemon, &envelope, &outlet, &voice, stop_asked).await;
        daemon.running.borrow_mut().remove(&key.task_id);
        daemon.input(Input::Exited { key, result: Box::new(result) });
    });
}

async fn execute(
    daemon: &Rc<Daemon>,
    envelope: &Arc<TaskEnvelope>,
    outlet: &Rc<ToManager>,
    voice: &Rc<Voice>,
    stop: watch::Receiver<Option<Stop>>,
) -> TaskResult {
    let ending = match start::prepare(daemon, envelope, stop.clone()).await {
        Ok((plugin, input)) => {
            let job = Rc::new(Job {
                key: TaskKey::of(envelope),
                task_id: envelope.task_id.to_string(),
                workflow_id: envelope.workflow_id.to_string(),
                reference: envelope.reference.clone(),
                attempt: envelope.attempt,
                tenant: envelope.tenant.clone(),
                plugin,
                operation: envelope.operation.clone(),
                input,
                node_instance: envelope.node_instance.clone(),
                run_timeout: envelope.run_timeout_ms.map(Duration::from_millis),
                grace: Duration::from_millis(envelope.grace_ms),
                voice: voice.clone(),
                stop,
            });
            run(&daemon.host, &job).await
        }
        Err(ending) => ending,
    };
    if let Some(storing) = outlet.storing.borrow_mut().take() {
        storing.abort();
    }
    result_of(ending, outlet.started_at.get(), voice)
}

async fn run(host: &Rc<Host>, job: &Rc<Job>) -> Ending {
    if job.described().is_none() {
        let reason = format!("the plugin {} has no operation {:?}", job.plugin.manifest.name, job.operation);
        return Ending { outcome: Outcome::FailedTerminally, reason: Some(reason), exit_code: None };
    }
    match job.plugin.manifest.mode {
        Mode::Persistent => persistent::run(host, job).await,
        Mode::OneShot | Mode::Script => oneshot::run(host, job).await,
    }
}

fn result_of(ending: Ending, started_at: Option<Timestamp>, voice: &Voice) -> TaskResult {
    let log_lines = voice.finish_log();
    let mut said = voice.said.borrow_mut();
    let reason = ending
        .reason
        .map(|reason| if reason.len() > REASON_CHARS_MAX { reason.chars().take(REASON_CHARS_MAX).collect() } else { reason });
    TaskResult {
        finished: TaskFinished {
            outcome: ending.outcome,
            output: said.take_output(),
            output_by_reference: false,
            reason,
            exit_code: ending.exit_code,
            started_at,
            ended_at: clock::now(),
            log_lines,
        },
        properties: std::mem::take(&mut said.properties),
    }
}

/// A task that was ended before it had a process.
pub(super) fn ended_before_start(stop: &Stop) -> Ending {
    let (outcome, reason) = stopped(stop);
    Ending { outcome, reason, exit_code: None }
}

/// A task that failed before it had a process.
pub(super) fn failed_before_start(outcome: Outcome, reason: String) -> Ending {
    Ending { outcome, reason: Some(reason), exit_code: None }
}

impl Daemon {
    pub(super) fn stop(&self, key: TaskKey, reason: String) {
        if let Some(handle) = self.running.borrow().get(&key.task_id)
            && handle.key == key
        {
            handle.stop.send_if_modified(|stop| stop.is_none() && stop.replace(Stop::Cancelled(reason)).is_none());
        }
    }

    /// Ends everything that runs, because the agent ends.
    pub(super) fn stop_all(&self) {
        for handle in self.running.borrow().values() {
            handle.stop.send_if_modified(|stop| stop.is_none() && stop.replace(Stop::AgentEnds).is_none());
        }
    }

    /// Says of tasks that have run for a moment that they started. Runs for ever.
    pub(super) async fn say_started(self: Rc<Self>) {
        let mut said: std::collections::HashSet<TaskKey> = std::collections::HashSet::new();
        let mut first_seen: std::collections::HashMap<TaskKey, Instant> = std::collections::HashMap::new();
        loop {
            if self.running.borrow().is_empty() {
                said.clear();
                first_seen.clear();
                self.moved.notified().await;
            }
            tokio::time::sleep(STARTED_AFTER / 2).await;
            let now = Instant::now();
            let running = self.running.borrow();
            first_seen.retain(|key, _| running.get(&key.task_id).is_some_and(|handle| handle.key == *key));
            said.retain(|key| running.get(&key.task_id).is_some_and(|handle| handle.key == *key));
            for handle in running.values().filter(|handle| handle.outlet.started_at.get().is_some()) {
                let since = *first_seen.entry(handle.key).or_insert(now);
                if now - since >= STARTED_AFTER / 2 && said.insert(handle.key) {
                    self.say_started_of(handle);
                }
            }
        }
    }

    fn say_started_of(&self, handle: &Handle) {
        if let Some(at) = handle.outlet.started_at.get() {
            let envelope = &handle.outlet.envelope;
            let event = TaskEvent {
                task_id: envelope.task_id,
                dispatch: envelope.dispatch,
                workflow_id: envelope.workflow_id,
                event: TaskEventKind::Started { at },
            };
            self.outbox.event(&event, None);
        }
    }

    /// Says it again to a manager that may have missed it.
    pub(super) fn say_started_again(&self) {
        for handle in self.running.borrow().values() {
            self.say_started_of(handle);
        }
    }
}
