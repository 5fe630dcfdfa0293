//! What the deciding thread can be told, and the handle to tell it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, mpsc};

use conductor_engine::{Event, PerformFailure, Plan, StartRequest, WorkKind, WorkerUpdate};
use conductor_model::{AgentId, AgentRecord, Cordon, Schedule, TaskId, TaskRecord, TenantName, Timestamp, WorkflowId};
use conductor_placement::Unplaced;
use conductor_store::StoreError;
use conductor_wire::amqp::{Lease, TaskEvent};
use serde_json::Value;
use tokio::sync::oneshot;

pub use super::command_error::CommandError;
use super::index::QueueView;
use super::performing::Turn;
use super::poll_data::PollSeen;
use crate::app::AgentView;
use conductor_model::IdempotencyStrategy;

/// Where an answer goes. Answers that say that something changed are given after the commit.
pub type Reply<T> = oneshot::Sender<Result<T, CommandError>>;

/// Gives an answer; nobody may be waiting for it any more.
pub(super) trait Answer<T> {
    /// Answers with success.
    fn answer(self, value: T);
}

impl<T> Answer<T> for Reply<T> {
    fn answer(self, value: T) {
        let _ = self.send(Ok(value));
    }
}

/// The key that makes a start unique.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StartKey {
    /// Owner.
    pub tenant: TenantName,
    /// Name of the definition.
    pub name: String,
    /// The idempotency key.
    pub key: String,
}

/// A start whose definitions are chosen and checked.
#[derive(Debug)]
pub struct StartOrder {
    /// What it runs by.
    pub plan: Arc<Plan>,
    /// What to start.
    pub request: StartRequest,
    /// What a second start with the same key does.
    pub idempotency: IdempotencyStrategy,
    /// The run's id: the new one, or the one that the key belongs to.
    pub reply: Reply<WorkflowId>,
}

/// A poll for tasks.
#[derive(Debug)]
pub struct PollRequest {
    /// Owner.
    pub tenant: TenantName,
    /// Which tasks.
    pub task_type: String,
    /// Of which domain.
    pub domain: Option<String>,
    /// Who polls.
    pub worker: String,
    /// At most so many.
    pub count: usize,
    /// Wait until then for the first one.
    pub until: Timestamp,
    /// The tasks; none when the time is over.
    pub reply: Reply<Vec<HandedOut>>,
}

/// A task as it is handed to a worker, with what is shown of its workflow: nobody has to read that from the store.
#[derive(Clone, Debug)]
pub struct HandedOut {
    /// The task.
    pub task: TaskRecord,
    /// The secrets and environment values that its definition asks for beside the input.
    pub runtime_metadata: BTreeMap<String, String>,
    /// Name of the workflow's definition.
    pub workflow_name: String,
    /// The starter's own id for the workflow.
    pub correlation_id: Option<String>,
    /// What the workflow runs by.
    pub plan: Arc<Plan>,
}

/// A worker's report.
#[derive(Debug)]
pub struct UpdateOrder {
    /// Owner.
    pub tenant: TenantName,
    /// The report.
    pub update: WorkerUpdate,
    /// The workflow that the worker believes the task to belong to.
    pub claimed: Option<String>,
    /// Who wants the next task of the same type and domain, in the same turn.
    pub next_for: Option<String>,
    /// The next task.
    pub reply: Reply<Option<HandedOut>>,
}

/// An agent as it presents itself in a message.
#[derive(Clone, Debug)]
pub struct Sender {
    /// Who.
    pub agent: AgentId,
    /// Its incarnation.
    pub incarnation: String,
    /// Its clock less ours, in ms.
    pub clock_ahead_ms: i64,
}

/// Called once a report is dealt with: `true` = stored or of no use, `false` = send it again.
pub type Settled = Box<dyn FnOnce(bool) + Send>;

/// An entry for the feed that no decision made.
#[derive(Debug)]
pub struct Announcement {
    /// Owner.
    pub tenant: TenantName,
    /// As in `node-instance.updated`.
    pub kind: &'static str,
    /// The workflow and task that it is about.
    pub task: Option<(WorkflowId, TaskId)>,
    /// The agent that it is about.
    pub agent: Option<AgentId>,
    /// Details.
    pub data: Value,
}

/// An input as it is handed over to an agent.
#[derive(Clone)]
pub struct HandedOver {
    /// With everything looked up.
    pub input: Arc<Value>,
    /// Values of secrets in it.
    pub secrets: Vec<String>,
}

impl std::fmt::Debug for HandedOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HandedOver").finish_non_exhaustive()
    }
}

/// What the deciding thread can be told.
#[expect(missing_docs, reason = "the fields are those of the use cases in `app`, which say what they mean")]
pub enum Message {
    /// Start a workflow.
    Start(StartOrder),
    /// Pause, resume or terminate a workflow.
    Control { tenant: TenantName, workflow: WorkflowId, event: Event, reply: Reply<()> },
    /// Delete a workflow that is over.
    Remove { tenant: TenantName, workflow: WorkflowId, reply: Reply<()> },
    /// A worker reports.
    Update(UpdateOrder),
    /// A worker polls.
    Poll(PollRequest),
    /// Which task is open at a step?
    OpenTask { tenant: TenantName, workflow: WorkflowId, reference: String, reply: Reply<Option<TaskId>> },
    /// Why has a task no agent?
    Explain { tenant: TenantName, task: TaskId, reply: Reply<Option<Unplaced>> },
    /// How many tasks wait for pollers?
    Queues { tenant: TenantName, reply: Reply<Vec<QueueView>> },
    /// Who polled last?
    PollData { tenant: TenantName, task_type: Option<String>, reply: Reply<Vec<PollSeen>> },
    /// Which of these domains, separated by commas, would a task of a type get now?
    DomainOf { tenant: TenantName, task_type: String, listed: String, reply: Reply<Option<String>> },
    /// Put tasks of a type that wait nowhere back where pollers find them, and say how many wait.
    Requeue { tenant: TenantName, task_type: String, reply: Reply<u64> },
    /// Put what is open of a workflow back where it waits.
    LookAgain { tenant: TenantName, workflow: WorkflowId, reply: Reply<()> },
    /// Which agents are there?
    Agents { tenant: TenantName, reply: Reply<Vec<AgentView>> },
    /// Keep a schedule.
    PutSchedule { tenant: TenantName, schedule: Box<Schedule>, reply: Reply<()> },
    /// Forget a schedule.
    DeleteSchedule { tenant: TenantName, name: String, reply: Reply<()> },
    /// Let a schedule rest, or go on.
    PauseSchedule { tenant: TenantName, name: String, paused: bool, reason: Option<String>, reply: Reply<()> },
    /// Let all schedules rest, or go on.
    PauseScheduler { tenant: TenantName, paused: bool, reply: Reply<()> },
    /// Which schedules are there?
    Schedules { tenant: TenantName, reply: Reply<Vec<Schedule>> },
    /// An agent presents itself.
    Register { record: Box<AgentRecord>, reply: Reply<()> },
    /// Give an agent nothing new from now on (`Some`), or again (`None`).
    Cordon { tenant: TenantName, agent: AgentId, cordon: Option<Cordon>, reply: Reply<()> },
    /// Forget an agent.
    RemoveAgent { tenant: TenantName, agent: AgentId, force: bool, reply: Reply<()> },
    /// An agent says what became of tasks.
    Report { from: Sender, events: Vec<TaskEvent>, settled: Settled },
    /// An agent renews its lease.
    Lease { from: Sender, lease: Lease },
    /// Has the agent this task?
    Holds { tenant: TenantName, agent: AgentId, task: TaskId, reply: Reply<()> },
    /// An input too large for the broker, or with secrets.
    TaskInput { tenant: TenantName, agent: AgentId, task: TaskId, reply: Reply<HandedOver> },
    /// The decision is stored that wants this work done.
    Perform { turn: Turn, lane: WorkKind },
    /// What came of work on a task.
    Performed { turn: Turn, result: Result<Value, PerformFailure> },
    /// Tell those who listen.
    Announce(Box<Announcement>),
    /// The broker has these messages, or they are no longer wanted.
    OutboxDone(Vec<u64>),
    /// The connection to the broker came or went.
    BrokerConnected(bool),
    /// Plugins were added or removed.
    PluginsChanged,
    /// Task definitions were stored or removed.
    DefinitionsChanged,
    /// A batch was stored, or not.
    Committed { batch: u64, result: Result<(), StoreError> },
    /// Store what is decided and end.
    Stop,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Message")
    }
}

impl Message {
    /// Answers without doing anything.
    pub(super) fn refuse(self, why: &CommandError) {
        fn no<T>(reply: Reply<T>, why: &CommandError) {
            let _ = reply.send(Err(why.clone()));
        }
        match self {
            Self::Start(order) => no(order.reply, why),
            Self::Control { reply, .. } => no(reply, why),
            Self::Update(UpdateOrder { reply, .. }) => no(reply, why),
            Self::Register { reply, .. } | Self::Holds { reply, .. } | Self::Remove { reply, .. } => no(reply, why),
            Self::Poll(request) => no(request.reply, why),
            Self::OpenTask { reply, .. } => no(reply, why),
            Self::Explain { reply, .. } => no(reply, why),
            Self::PutSchedule { reply, .. } | Self::DeleteSchedule { reply, .. } => no(reply, why),
            Self::PauseSchedule { reply, .. } | Self::PauseScheduler { reply, .. } => no(reply, why),
            Self::Schedules { reply, .. } => no(reply, why),
            Self::Queues { reply, .. } => no(reply, why),
            Self::PollData { reply, .. } => no(reply, why),
            Self::DomainOf { reply, .. } => no(reply, why),
            Self::Requeue { reply, .. } => no(reply, why),
            Self::LookAgain { reply, .. } | Self::RemoveAgent { reply, .. } | Self::Cordon { reply, .. } => no(reply, why),
            Self::Agents { reply, .. } => no(reply, why),
            Self::TaskInput { reply, .. } => no(reply, why),
            Self::Report { settled, .. } => settled(false),
            Self::Lease { .. }
            | Self::Perform { .. }
            | Self::Performed { .. }
            | Self::Announce(_)
            | Self::OutboxDone(_)
            | Self::BrokerConnected(_)
            | Self::PluginsChanged
            | Self::DefinitionsChanged
            | Self::Committed { .. }
            | Self::Stop => {}
        }
    }
}

/// Tells the deciding thread things. Cheap to clone.
#[derive(Clone, Debug)]
pub struct CoreHandle {
    sender: mpsc::Sender<Message>,
    known: Arc<RwLock<HashMap<AgentId, Known>>>,
}

/// What those who send and receive must know of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    /// The newest protocol that it speaks: messages to it are written so that it can read them.
    protocol: u16,
    /// Whose it is.
    tenant: TenantName,
}

impl CoreHandle {
    /// A handle and the end that the thread reads from.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<Message>) {
        let (sender, receiver) = mpsc::channel();
        (Self { sender, known: Arc::default() }, receiver)
    }

    /// An agent presented itself.
    pub(super) fn note_agent(&self, record: &AgentRecord) {
        let now_known = Known { protocol: record.protocol, tenant: record.tenant.clone() };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.get(&record.id) != Some(&now_known) {
            known.insert(record.id.clone(), now_known);
        }
    }

    /// The protocol that an agent speaks, where it is known.
    #[must_use]
    pub fn protocol_of(&self, agent: &AgentId) -> Option<u16> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(agent).map(|known| known.protocol)
    }

    /// Whether an agent is of a tenant, as far as is known. One that was forgotten may still deliver what it had.
    #[must_use]
    pub fn is_of_tenant(&self, agent: &AgentId, tenant: &TenantName) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(agent).is_none_or(|known| known.tenant == *tenant)
    }

    /// Tells something that is not answered. Nothing happens when the thread has ended.
    pub fn tell(&self, message: Message) {
        let _ = self.sender.send(message);
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// What the thread answers; [`CommandError::Unavailable`] when it has ended.
    pub async fn ask<T>(&self, make: impl FnOnce(Reply<T>) -> Message) -> Result<T, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.sender.send(make(reply)).map_err(|_| CommandError::Unavailable)?;
        answer.await.unwrap_or(Err(CommandError::Unavailable))
    }
}
