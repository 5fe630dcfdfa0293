//! Running one task, from its slot to its result.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use conductor_agent_core::policy::Ask;
use conductor_agent_core::{Input, ProcessMark, TaskKey, TaskResult};
use conductor_model::{Outcome, Timestamp};
use conductor_wire::agent_api::HandedInput;
use conductor_wire::amqp::{TaskEnvelope, TaskEvent, TaskEventKind, TaskFinished};
use serde_json::Map;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Daemon, start};
use crate::clock;
use crate::runner::ending::stopped;
use crate::runner::{Ending, Plugin, Stop};
use crate::runner_link::message::{Order, ToRunner};

/// A task is said to have started once it has run this long; `Finished` says it of shorter ones.
const STARTED_AFTER: Duration = Duration::from_millis(150);

/// A task that has a slot.
#[derive(Debug)]
pub(super) struct Handle {
    pub key: TaskKey,
    envelope: Arc<TaskEnvelope>,
    /// Ends it while plugin and input are being fetched.
    stop: watch::Sender<Option<Stop>>,
    /// What the runner was or is to be told, from then on. Absent as well where an earlier life of the agent told it.
    pub order: RefCell<Option<Box<Order>>>,
    /// Whether a runner may have it.
    pub was_sent: Cell<bool>,
    /// Why it is to be ended.
    pub stop_reason: RefCell<Option<String>>,
    started_at: Cell<Option<Timestamp>>,
    /// Its process, for finding what is left of it.
    pub process: Cell<Option<ProcessMark>>,
}

impl Handle {
    fn new(envelope: Arc<TaskEnvelope>, stop: watch::Sender<Option<Stop>>, was_sent: bool) -> Self {
        Self {
            key: TaskKey::of(&envelope),
            envelope,
            stop,
            order: RefCell::default(),
            was_sent: Cell::new(was_sent),
            stop_reason: RefCell::default(),
            started_at: Cell::new(None),
            process: Cell::new(None),
        }
    }

    fn event(&self, event: TaskEventKind) -> TaskEvent {
        TaskEvent { task_id: self.key.task_id, dispatch: self.key.dispatch, workflow_id: self.envelope.workflow_id, event }
    }
}

/// Starts a task in its slot.
pub(super) fn start(daemon: &Rc<Daemon>, envelope: Arc<TaskEnvelope>) {
    let key = TaskKey::of(&envelope);
    let (stop, stop_asked) = watch::channel(None);
    let handle = Rc::new(Handle::new(envelope.clone(), stop, false));
    daemon.running.borrow_mut().insert(key.task_id, handle.clone());
    if let Err(reason) = daemon.allow(&envelope) {
        let result = result_of(failed_before_start(Outcome::Refused, reason));
        return daemon.task_ended(key, Box::new(result));
    }
    if let Some((plugin, input)) = start::at_hand(daemon, &envelope) {
        return hand_over(daemon, &handle, &plugin, input);
    }
    let daemon = daemon.clone();
    tokio::task::spawn_local(async move {
        match start::prepare(&daemon, &envelope, stop_asked).await {
            Ok((plugin, input)) => hand_over(&daemon, &handle, &plugin, input),
            Err(ending) => daemon.task_ended(key, Box::new(result_of(ending))),
        }
    });
}

/// Gives a task to the runner. Without a connection it goes with the next one.
fn hand_over(daemon: &Daemon, handle: &Handle, plugin: &Plugin, handed: HandedInput) {
    let envelope = &handle.envelope;
    let order = Box::new(Order {
        key: handle.key,
        workflow_id: envelope.workflow_id,
        tenant: envelope.tenant.clone(),
        reference: envelope.reference.clone(),
        attempt: envelope.attempt,
        plugin_dir: plugin.dir.clone(),
        plugin_digest: plugin.digest.clone(),
        operation: envelope.operation.clone(),
        input: handed.input,
        secrets: handed.secrets,
        node_instance: envelope.node_instance.clone(),
        run_timeout_ms: envelope.run_timeout_ms,
        grace_ms: envelope.grace_ms,
        limits: envelope.limits.clone(),
    });
    if daemon.runner.is_connected() {
        let message = ToRunner::Start(order);
        daemon.runner.send(&message);
        handle.was_sent.set(true);
        if let ToRunner::Start(order) = message {
            *handle.order.borrow_mut() = Some(order);
        }
    } else {
        *handle.order.borrow_mut() = Some(order);
    }
}

/// The result of a task that never came to the runner.
fn result_of(ending: Ending) -> TaskResult {
    TaskResult {
        finished: TaskFinished {
            outcome: ending.outcome,
            output: Map::new(),
            output_by_reference: false,
            reason: ending.reason,
            exit_code: ending.exit_code,
            started_at: None,
            ended_at: clock::now(),
            log_lines: 0,
        },
        properties: Map::new(),
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
    fn handle(&self, key: TaskKey) -> Option<Rc<Handle>> {
        self.running.borrow().get(&key.task_id).filter(|handle| handle.key == key).cloned()
    }

    /// Tasks that an earlier life of the agent gave to the runner, which has these of them. Those whose end was ordered before
    /// it was met are ended.
    pub(super) fn adopt_all(&self, runs: &HashSet<TaskKey>) {
        let earlier = self.running.take();
        for envelope in self.ledger.borrow().begun() {
            let (stop, _) = watch::channel(None);
            let handle = Rc::new(Handle::new(envelope, stop, true));
            if runs.contains(&handle.key) {
                tracing::info!(task.id = %handle.key.task_id, "a task has gone on while the agent was away");
            }
            self.running.borrow_mut().insert(handle.key.task_id, handle);
        }
        for handle in earlier.values().filter(|handle| runs.contains(&handle.key)) {
            if let Some(reason) = handle.stop_reason.take() {
                self.stop(handle.key, reason);
            }
        }
    }

    /// The host's own word.
    fn allow(&self, envelope: &TaskEnvelope) -> Result<(), String> {
        let (plugin, operation, user) = (&envelope.plugin, &envelope.operation, &self.user);
        self.policy.check(Ask::Run { plugin: &plugin.name, version: &plugin.version, operation, user })
    }

    pub(super) fn task_started(self: &Rc<Self>, key: TaskKey, at: Timestamp, process: Option<ProcessMark>) {
        let Some(handle) = self.handle(key) else { return };
        let is_news = handle.started_at.replace(Some(at)).is_none();
        handle.process.set(process);
        // Processes that serve many tasks are known by a mark of their own after a crash.
        if let (true, Some(process)) = (is_news, process) {
            self.input(Input::Started { key, process });
        }
    }

    pub(super) fn task_progress(&self, key: TaskKey, at: Timestamp, percent: Option<f64>, message: Option<String>) {
        if let Some(handle) = self.handle(key) {
            self.outbox.event(&handle.event(TaskEventKind::Progress { at, percent, message }), None);
        }
    }

    /// A result, also one that is told again or that nobody waits for any more.
    pub(super) fn task_ended(self: &Rc<Self>, key: TaskKey, result: Box<TaskResult>) {
        if self.forget(key) {
            self.input(Input::Exited { key, result });
        }
    }

    /// Whether the task had a slot; it has none any more.
    pub(super) fn forget(&self, key: TaskKey) -> bool {
        let mut running = self.running.borrow_mut();
        let is_known = running.get(&key.task_id).is_some_and(|handle| handle.key == key);
        if is_known {
            running.remove(&key.task_id);
        }
        is_known
    }

    pub(super) fn stop(&self, key: TaskKey, reason: String) {
        let Some(handle) = self.handle(key) else { return };
        if handle.stop_reason.borrow().is_some() {
            return;
        }
        *handle.stop_reason.borrow_mut() = Some(reason.clone());
        self.runner.send(&ToRunner::Stop { key, reason: reason.clone() });
        handle.stop.send_replace(Some(Stop::Cancelled(reason)));
    }

    /// Says of tasks that have run for a moment that they started. Runs for ever.
    pub(super) async fn say_started(self: Rc<Self>) {
        let mut said: HashSet<TaskKey> = HashSet::new();
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
            for handle in running.values().filter(|handle| handle.started_at.get().is_some()) {
                let since = *first_seen.entry(handle.key).or_insert(now);
                if now - since >= STARTED_AFTER / 2 && said.insert(handle.key) {
                    self.say_started_of(handle);
                }
            }
        }
    }

    fn say_started_of(&self, handle: &Handle) {
        if let Some(at) = handle.started_at.get() {
            self.outbox.event(&handle.event(TaskEventKind::Started { at }), None);
        }
    }

    /// Says it again to a manager that may have missed it.
    pub(super) fn say_started_again(&self) {
        for handle in self.running.borrow().values() {
            self.say_started_of(handle);
        }
    }
}
