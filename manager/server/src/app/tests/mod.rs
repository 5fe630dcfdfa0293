//! The deciding thread as a whole, with a store in memory and agents played by the test. No broker, no HTTP.

mod agents;
mod children;
mod events;
mod failures;
mod fitting_inputs;
mod handed_over;
mod hosts;
mod limits;
mod performing;
mod precedence;
mod queues;
mod retention;
mod schedules;
mod stage;
mod workers;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use conductor_engine::{WorkerStatus, WorkerUpdate};
use conductor_model::{
    AgentId, AgentRecord, AgentState, Outcome, PluginRecord, TaskDef, TaskId, TaskRecord, TenantName, Timestamp, WorkflowDef,
    WorkflowId, WorkflowRecord,
};
use conductor_store::{MemoryStore, Store};
use conductor_wire::amqp::{Lease, TaskEnvelope, TaskEvent, TaskEventKind, TaskFinished, ToAgentItem};
use serde_json::{Map, Value, json};

use super::core::{Message, Sender};
use super::metrics::Metrics;
use super::{App, StartCommand};
use crate::broker;
use crate::clock;
use crate::config::Settings;

/// The longest that anything in these tests may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The helper process of scripts: this test program, started again for this one "test".
#[test]
#[ignore = "the helper process of the other tests"]
fn script_worker() {
    let _ = conductor_script::worker::run();
}

/// A manager without doors and broker. What it would send is read from `parts`.
pub(crate) struct World {
    pub(crate) app: App,
    parts: broker::Parts,
    pub(crate) store: Arc<dyn Store>,
}

pub(crate) fn tenant() -> TenantName {
    TenantName::default_tenant()
}

impl World {
    pub(crate) fn new() -> Self {
        Self::on(Arc::new(MemoryStore::new()), 60_000)
    }

    /// A manager on a store, with a lease of so many ms.
    pub(crate) fn on(store: Arc<dyn Store>, lease_ms: u64) -> Self {
        Self::with(store, |settings| {
            settings.lease.lease_ms = lease_ms;
            settings.lease.interval_ms = lease_ms / 4;
        })
    }

    /// A manager on a store, with other settings.
    pub(crate) fn with(store: Arc<dyn Store>, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings { data_dir: PathBuf::from("/nonexistent"), ..Settings::default() };
        set(&mut settings);
        let metrics = Metrics::register(&mut prometheus_client::registry::Registry::default());
        let (trust, accounts) = crate::app::trust::Trust::for_tests(&settings);
        let (app, parts) = App::start(&settings, Arc::clone(&store), metrics, trust, accounts).unwrap();
        app.inner.core.tell(Message::BrokerConnected(true));
        Self { app, parts, store }
    }

    /// The deciding thread.
    pub(crate) fn core(&self) -> &crate::app::core::CoreHandle {
        &self.app.inner.core
    }

    /// Ends the manager; another begins on the same store with an empty memory.
    pub(crate) fn restarted(self) -> Self {
        self.app.stop();
        Self::on(self.store, 60_000)
    }

    pub(crate) async fn define(&self, tasks: Value, workflow: Value) {
        let tasks: Vec<TaskDef> = serde_json::from_value(tasks).unwrap();
        if !tasks.is_empty() {
            self.app.put_task_defs(&tenant(), tasks, "test").await.unwrap();
        }
        let workflow: WorkflowDef = serde_json::from_value(workflow).unwrap();
        self.app.put_workflow_defs(&tenant(), vec![workflow], true, "test").await.unwrap();
    }

    pub(crate) async fn start(&self, name: &str) -> WorkflowId {
        let command = StartCommand { name: name.to_owned(), ..StartCommand::default() };
        self.app.start_workflow(&tenant(), command).await.unwrap()
    }

    pub(crate) async fn poll(&self, task_type: &str) -> Option<TaskRecord> {
        self.app
            .poll_tasks(&tenant(), task_type, None, "worker", 1, Duration::ZERO)
            .await
            .unwrap()
            .pop()
            .map(|handed| handed.task)
    }

    pub(crate) async fn complete(&self, task: TaskId) {
        self.app.update_task(&tenant(), update(task, WorkerStatus::Completed)).await.unwrap();
    }

    pub(crate) async fn workflow(&self, id: WorkflowId) -> WorkflowRecord {
        self.app.read(move |store| store.workflow(&tenant(), id)).await.unwrap().unwrap()
    }

    pub(crate) async fn tasks(&self, id: WorkflowId) -> Vec<TaskRecord> {
        self.app.read(move |store| store.workflow_tasks(&tenant(), id, 0, 1000)).await.unwrap()
    }

    /// Waits until a workflow and its tasks are as wanted.
    pub(crate) async fn until(&self, id: WorkflowId, what: &str, wanted: impl Fn(&WorkflowRecord, &[TaskRecord]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (workflow, tasks) = (self.workflow(id).await, self.tasks(id).await);
            if wanted(&workflow, &tasks) {
                return;
            }
            assert!(Instant::now() < deadline, "{what} did not come: {workflow:#?} {tasks:#?}");
            tokio::task::yield_now().await;
        }
    }

    /// An agent presents itself and renews its lease.
    pub(crate) async fn agent(&self, id: &str, label: (&str, &str), slots: u32) {
        let now = clock::now();
        let record = AgentRecord {
            id: id.parse().unwrap(),
            tenant: tenant(),
            name: id.to_owned(),
            state: AgentState::Offline,
            state_reason: None,
            labels: [(label.0.to_owned(), label.1.to_owned())].into(),
            facts: Map::new(),
            slots,
            version: "1".to_owned(),
            protocol: 1,
            incarnation: "first".to_owned(),
            registered_at: now,
            last_seen_at: now,
            cordon: None,
        };
        self.app.inner.core.ask(|reply| Message::Register { record: Box::new(record), reply }).await.unwrap();
        self.lease(id, Vec::new());
    }

    pub(crate) fn lease(&self, id: &str, tasks: Vec<(TaskId, u32)>) {
        self.lease_from("", id, tasks);
    }

    /// A lease that comes from a certain host.
    pub(crate) fn lease_from(&self, host: &str, id: &str, tasks: Vec<(TaskId, u32)>) {
        let lease = Lease { tasks, draining: false, reason: String::new(), free_slots: 1, host: host.to_owned() };
        self.app.inner.core.tell(Message::Lease { from: sender(id), lease });
    }

    /// Uploads a plugin with one operation `run`.
    pub(crate) fn plugin(&self, name: &str) {
        let plugin = PluginRecord {
            tenant: tenant(),
            name: name.parse().unwrap(),
            version: "1.0.0".to_owned(),
            digest: "a".repeat(64).parse().unwrap(),
            size_bytes: 1,
            media_type: "application/gzip".to_owned(),
            manifest: json!({ "operations": { "run": {} } }),
            uploaded_at: Timestamp(0),
        };
        self.store.put_plugin(plugin).unwrap();
    }

    /// The next order for an agent. The test plays the broker: it confirms at once.
    pub(crate) async fn order(&mut self) -> (AgentId, ToAgentItem) {
        let message = tokio::time::timeout(PATIENCE, self.parts.outbox.recv()).await.expect("an order is sent").unwrap();
        self.app.inner.core.tell(Message::OutboxDone(vec![message.id]));
        (message.agent, serde_json::from_str(&message.body).unwrap())
    }

    pub(crate) async fn task_order(&mut self) -> (AgentId, TaskEnvelope) {
        match self.order().await {
            (agent, ToAgentItem::Task(envelope)) => (agent, *envelope),
            (_, other) => panic!("expected a task, got {other:?}"),
        }
    }

    /// An agent reports how a task ended; waits until that is settled.
    pub(crate) async fn report(&self, agent: &AgentId, envelope: &TaskEnvelope, outcome: Outcome) -> bool {
        let finished = TaskFinished {
            outcome,
            output: json!({ "from": agent }).as_object().unwrap().clone(),
            output_by_reference: false,
            reason: None,
            exit_code: None,
            started_at: (outcome != Outcome::Refused).then(clock::now),
            ended_at: clock::now(),
            log_lines: 0,
        };
        let event = TaskEvent {
            task_id: envelope.task_id,
            dispatch: envelope.dispatch,
            workflow_id: envelope.workflow_id,
            event: TaskEventKind::Finished(finished),
        };
        let (settle, settled) = tokio::sync::oneshot::channel();
        self.app.inner.core.tell(Message::Report {
            from: sender(agent.as_str()),
            events: vec![event],
            settled: Box::new(move |stored| {
                let _ = settle.send(stored);
            }),
        });
        tokio::time::timeout(PATIENCE, settled).await.expect("the report is settled").unwrap()
    }
}

pub(crate) fn sender(id: &str) -> Sender {
    Sender { agent: id.parse().unwrap(), incarnation: "first".to_owned(), clock_ahead_ms: 0 }
}

pub(crate) fn update(task: TaskId, status: WorkerStatus) -> WorkerUpdate {
    WorkerUpdate {
        task,
        status,
        output: Map::new(),
        merge_output: false,
        reason: None,
        worker_id: None,
        callback_after_seconds: 0,
        extend_lease: false,
    }
}

/// A workflow of two steps in a row, for workers.
pub(crate) fn two_steps() -> Value {
    json!({ "name": "two_steps", "tasks": [
        { "name": "first", "taskReferenceName": "a" },
        { "name": "second", "taskReferenceName": "b" },
    ]})
}

/// A workflow of one step on an agent with label `role=web`.
pub(crate) fn on_agent(idempotent: bool) -> (Value, Value) {
    let task = json!([{ "name": "remote", "retryCount": 0, "agent":
        { "plugin": "p", "operation": "run", "requires": "role=web", "idempotent": idempotent } }]);
    let workflow = json!({ "name": "remote_flow", "tasks": [{ "name": "remote", "taskReferenceName": "r" }] });
    (task, workflow)
}
