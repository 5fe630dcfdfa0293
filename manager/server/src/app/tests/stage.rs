//! The deciding thread without its thread: the test turns the clock and says when a round is made.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::Receiver;

use conductor_engine::StartRequest;
use conductor_model::ids::IdSource;
use tokio::sync::{broadcast, mpsc, oneshot};
use uuid::Uuid;

use super::*;
use crate::app::IdempotencyStrategy;
use crate::app::core::{
    CommandError, Core, CoreHandle, CoreSettings, HandedOut, Outlets, PollRequest, StartOrder, Surroundings, UpdateOrder,
};
use crate::app::definitions::compile;

/// When the stage's time begins: far from 0, so that what is subtracted stays positive.
const DAWN: Timestamp = Timestamp(1_000_000_000);

/// A world whose clock the test turns and whose ids count up.
struct Played {
    now: Arc<AtomicI64>,
    ids: Counted,
}

struct Counted(u128);

impl IdSource for Counted {
    fn next_id(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(self.0)
    }
}

impl Surroundings for Played {
    fn now(&mut self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    fn ids(&mut self) -> &mut dyn IdSource {
        &mut self.ids
    }

    fn chance(&mut self) -> f64 {
        0.5
    }
}

/// An answer that may have come.
pub(super) type Answer<T> = oneshot::Receiver<Result<T, CommandError>>;

pub(super) struct Stage {
    core: Core,
    pub(super) handle: CoreHandle,
    messages: Receiver<Message>,
    pub(super) store: Arc<MemoryStore>,
    now: Arc<AtomicI64>,
    /// What makes ids differ between lives of the manager.
    life: u128,
}

impl Stage {
    pub(super) fn new() -> Self {
        Self::open(Arc::new(MemoryStore::new()), Arc::new(AtomicI64::new(DAWN.0)), 1)
    }

    fn open(store: Arc<MemoryStore>, now: Arc<AtomicI64>, life: u128) -> Self {
        let (handle, messages) = CoreHandle::channel();
        let (outbox, _) = mpsc::unbounded_channel();
        let (feed, _) = broadcast::channel(1);
        let settings = CoreSettings {
            lease_interval_ms: 15_000,
            lease_ms: 60_000,
            grace_ms: 5_000,
            requests_per_host: 64,
            outputs_dir: PathBuf::from("/nonexistent"),
        };
        let metrics = Metrics::register(&mut prometheus_client::registry::Registry::default());
        let world = Played { now: Arc::clone(&now), ids: Counted(life << 64) };
        let performers = crate::app::perform::Performers::new(handle.clone(), crate::app::script_launcher());
        let outlets = Outlets { outbox, feed, performers: Arc::new(performers) };
        let dyn_store: Arc<dyn Store> = Arc::clone(&store) as _;
        let core = Core::open(dyn_store, settings, outlets, metrics, handle.clone(), Box::new(world)).unwrap();
        Self { core, handle, messages, store, now, life }
    }

    /// The manager is killed, and another begins on what was stored. Who waited for an answer hears nothing.
    pub(super) fn killed(self) -> Self {
        Self::open(self.store, self.now, self.life + 1)
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    /// Turns the clock on, without a round.
    pub(super) fn pass_ms(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
    }

    /// Does what there is to do, answers included.
    pub(super) fn round(&mut self) {
        self.core.step(&self.messages);
        self.core.step(&self.messages);
    }

    pub(super) fn define(&self, tasks: Value, workflow: Value) {
        self.store.put_task_defs(&tenant(), serde_json::from_value(tasks).unwrap()).unwrap();
        self.store.put_workflow_defs(&tenant(), vec![serde_json::from_value(workflow).unwrap()], true).unwrap();
        self.handle.tell(Message::DefinitionsChanged);
    }

    /// Makes a round and gives the answer, which must have come.
    pub(super) fn ask<T>(
        &mut self,
        make: impl FnOnce(oneshot::Sender<Result<T, CommandError>>) -> Message,
    ) -> Result<T, CommandError> {
        let (reply, mut answer) = oneshot::channel();
        self.handle.tell(make(reply));
        self.round();
        answer.try_recv().expect("it is answered within a round")
    }

    pub(super) fn start(&mut self, name: &str) -> WorkflowId {
        self.start_with_priority(name, 0)
    }

    pub(super) fn start_with_priority(&mut self, name: &str, priority: u8) -> WorkflowId {
        let definition = self.store.workflow_def(&tenant(), name, None).unwrap().unwrap();
        let plan = Arc::new(compile(self.store.as_ref(), &tenant(), definition).unwrap().unwrap());
        let request = StartRequest { priority, ..StartRequest::new(WorkflowId(Uuid::now_v7()), tenant(), Map::new()) };
        let idempotency = IdempotencyStrategy::Fail;
        self.ask(|reply| Message::Start(StartOrder { plan, request, idempotency, reply })).unwrap()
    }

    /// Begins to poll, waiting for so many ms.
    pub(super) fn poll(&self, task_type: &str, count: usize, wait_ms: i64) -> Answer<Vec<HandedOut>> {
        let (reply, answer) = oneshot::channel();
        self.handle.tell(Message::Poll(PollRequest {
            tenant: tenant(),
            task_type: task_type.to_owned(),
            domain: None,
            worker: "worker".to_owned(),
            count,
            until: self.now().plus_ms(wait_ms),
            reply,
        }));
        answer
    }

    pub(super) fn complete(&mut self, task: TaskId) {
        let update = update(task, WorkerStatus::Completed);
        self.ask(|reply| Message::Update(UpdateOrder { tenant: tenant(), update, claimed: None, next_for: None, reply }))
            .unwrap();
    }
}
