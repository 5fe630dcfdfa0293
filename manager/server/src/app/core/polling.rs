//! Handing tasks to workers that poll, and long polls that wait for one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use conductor_engine::{Event, Refusal};
use conductor_model::{TaskId, TenantName, Timestamp, WorkflowId};

use super::index::QueueKey;
use super::limits::LimitKey;
use super::message::{CommandError, HandedOut, PollRequest};
use super::poll_data::{ACTIVE_MS, PollData, PollSeen};
use super::timers::Timer;
use super::{Core, DecideError};

/// Pollers that wait, by queue, first come first served.
#[derive(Debug, Default)]
pub(super) struct Polling {
    waiting: BTreeMap<u64, (QueueKey, PollRequest)>,
    queues: HashMap<QueueKey, VecDeque<u64>>,
    last: u64,
    data: PollData,
}

impl Polling {
    fn wait(&mut self, key: QueueKey, request: PollRequest) -> u64 {
        self.last += 1;
        self.queues.entry(key.clone()).or_default().push_back(self.last);
        self.waiting.insert(self.last, (key, request));
        self.last
    }

    /// Puts a poller back that was taken for nothing: it stays the first.
    fn put_back(&mut self, key: &QueueKey, id: u64, request: PollRequest) {
        self.queues.entry(key.clone()).or_default().push_front(id);
        self.waiting.insert(id, (key.clone(), request));
    }

    /// How many pollers wait at a queue, give or take those that went away.
    fn waiting_at(&self, key: &QueueKey) -> usize {
        self.queues.get(key).map_or(0, VecDeque::len)
    }

    /// Whether a worker polls a queue: it waits there, or was there within [`ACTIVE_MS`].
    pub(super) fn is_active(&self, tenant: &TenantName, task_type: &str, domain: Option<&str>, now: Timestamp) -> bool {
        let key = QueueKey { tenant: tenant.clone(), task_type: Arc::from(task_type), domain: domain.map(str::to_owned) };
        self.waiting_at(&key) > 0 || self.data.last(&key).is_some_and(|at| now.ms_since(at) <= ACTIVE_MS)
    }

    /// Who polled last.
    pub(super) fn seen(&self, tenant: &TenantName, task_type: Option<&str>) -> Vec<PollSeen> {
        self.data.seen(tenant, task_type)
    }

    /// Until when each poller waits.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = (u64, Timestamp)> {
        self.waiting.iter().map(|(id, (_, request))| (*id, request.until))
    }

    /// Takes the first poller of a queue that still waits.
    fn take(&mut self, key: &QueueKey) -> Option<(u64, PollRequest)> {
        let queue = self.queues.get_mut(key)?;
        while let Some(id) = queue.pop_front() {
            if let Some((_, request)) = self.waiting.remove(&id)
                && !request.reply.is_closed()
            {
                return Some((id, request));
            }
        }
        self.queues.remove(key);
        None
    }

    /// A poller's time is over.
    pub(super) fn give_up(&mut self, id: u64) {
        if let Some((key, request)) = self.waiting.remove(&id) {
            if let Some(queue) = self.queues.get_mut(&key) {
                queue.retain(|waiting| *waiting != id);
                if queue.is_empty() {
                    self.queues.remove(&key);
                }
            }
            let _ = request.reply.send(Ok(Vec::new()));
        }
    }
}

impl Core {
    /// Hands out what there is, else lets the poller wait.
    pub(super) fn poll(&mut self, request: PollRequest) {
        let key = QueueKey {
            tenant: request.tenant.clone(),
            task_type: Arc::from(request.task_type.as_str()),
            domain: request.domain.clone(),
        };
        self.polling.data.polled(&key, &request.worker, self.now);
        // Who waits already is served first, at the end of this turn.
        let behind = request.until > self.now && self.polling.waiting_at(&key) > 0;
        let tasks = if behind { Vec::new() } else { self.take_tasks(&key, &request.worker, request.count) };
        if !tasks.is_empty() {
            self.building.reply(request.reply, tasks);
        } else if request.until > self.now {
            let until = request.until;
            let poller = self.polling.wait(key, request);
            self.index.timers.set(Timer::Poller(poller), until);
        } else {
            let _ = request.reply.send(Ok(tasks));
        }
    }

    /// Serves the pollers of queues that got a task or may hand one out again: the queue with the best task first.
    pub(super) fn serve_pollers(&mut self) {
        while !self.index.woken.is_empty() {
            let mut woken: Vec<_> = std::mem::take(&mut self.index.woken)
                .into_iter()
                .filter_map(|key| Some((self.index.first_rank(&key)?, key)))
                .collect();
            woken.sort_unstable();
            for (_, key) in woken {
                self.serve_queue(&key);
            }
        }
    }

    /// Serves the pollers of one queue. What there is is shared among those who wait, so that one who asks for many does
    /// not leave the others without.
    fn serve_queue(&mut self, key: &QueueKey) {
        while let waiting @ 1.. = self.index.queue_len(key) {
            let pollers = self.polling.waiting_at(key);
            let Some((id, request)) = self.polling.take(key) else { return };
            let share = self.room_at(key).min(waiting).div_ceil(pollers.max(1)).max(1);
            let tasks = self.take_tasks(key, &request.worker, request.count.min(share));
            if tasks.is_empty() {
                self.polling.put_back(key, id, request);
                return;
            }
            self.index.timers.clear(&Timer::Poller(id));
            self.building.reply(request.reply, tasks);
        }
    }

    /// How many tasks of a queue its limit lets out now.
    fn room_at(&mut self, key: &QueueKey) -> usize {
        let Some((task, workflow)) = self.index.first_in_queue(key) else { return 0 };
        let limit = LimitKey { tenant: key.tenant.clone(), name: Arc::clone(&key.task_type) };
        self.room_for(&limit, workflow, task).unwrap_or(usize::MAX)
    }

    fn take_tasks(&mut self, key: &QueueKey, worker: &str, count: usize) -> Vec<HandedOut> {
        let mut taken = Vec::new();
        let limit = LimitKey { tenant: key.tenant.clone(), name: Arc::clone(&key.task_type) };
        while taken.len() < count
            && let Some((task, workflow)) = self.index.first_in_queue(key)
        {
            let room = self.room_for(&limit, workflow, task);
            if room == Some(0) {
                self.queue_is_shut(&limit, key);
                break;
            }
            match self.decide(workflow, Event::Polled { task, worker: worker.to_owned() }) {
                Ok(()) => {
                    if room.is_some() {
                        self.handed_out(&limit);
                    }
                    taken.extend(self.handed(workflow, task));
                }
                Err(DecideError::Refused(Refusal::TaskStatus { .. })) => self.look_again(workflow, task),
                Err(DecideError::Refused(Refusal::WorkflowStatus { .. })) => self.index.park(task),
                Err(error) => {
                    tracing::error!(%task, %error, "a queued task could not be handed out");
                    self.index.park(task);
                }
            }
        }
        taken
    }
}

impl Core {
    /// The next task of the type and domain of a task that a worker is done with, unless others wait for it.
    pub(super) fn next_like(&mut self, workflow: WorkflowId, done: TaskId, worker: &str) -> Option<HandedOut> {
        let done = self.runs.peek(workflow)?.task(done)?;
        let key =
            QueueKey { tenant: done.tenant.clone(), task_type: Arc::clone(&done.definition_name), domain: done.domain.clone() };
        self.polling.data.polled(&key, worker, self.now);
        if self.polling.waiting_at(&key) > 0 {
            return None;
        }
        self.take_tasks(&key, worker, 1).pop()
    }

    /// A task as a worker gets it: with secrets and environment values in its input. Not to be kept.
    fn handed(&self, workflow: WorkflowId, task: TaskId) -> Option<HandedOut> {
        let run = self.runs.peek(workflow)?;
        let mut record = run.task(task)?.clone();
        let tenant = &run.workflow().tenant;
        let look_up = |sealed, name: &str| self.outlets.performers.look_up(tenant, sealed, name);
        if let Some(input) = run.revealed_input(task, &look_up) {
            record.input = Arc::new(input);
        }
        Some(HandedOut {
            runtime_metadata: run.runtime_metadata(task, &look_up),
            task: record,
            workflow_name: run.workflow().name.clone(),
            correlation_id: run.workflow().correlation_id.clone(),
            plan: Arc::clone(run.plan()),
        })
    }

    /// A task that waits could not be taken: the clock was set back, and its moment is still to come. Whatever else keeps it,
    /// it does not stay in front of others.
    pub(super) fn look_again(&mut self, workflow: WorkflowId, task: TaskId) {
        self.index.park(task);
        if let Some(record) = self.runs.peek(workflow).and_then(|run| run.task(task))
            && record.visible_at > self.now
        {
            self.index.observe(record, self.now);
        }
    }
}

impl From<CommandError> for crate::app::AppError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::UnknownWorkflow(id) => Self::not_found("workflow", id),
            CommandError::UnknownTask(id) => Self::not_found("task", id),
            CommandError::KeyUsed { .. } => Self::conflict("idempotency-key-used", error.to_string()),
            CommandError::InputUnfit { .. } => Self::invalid("schema-violated", error.to_string()),
            CommandError::RateLimited { .. } => Self::conflict("workflow-rate-limited", error.to_string()),
            CommandError::UnknownSchedule(name) => Self::not_found("schedule", name),
            CommandError::TooMany { .. } => Self::conflict("too-many", error.to_string()),
            CommandError::UnknownAgent(id) => Self::not_found("agent", id),
            CommandError::AgentBusy { .. } => Self::conflict("agent-busy", error.to_string()),
            CommandError::WorkflowMismatch { .. } => Self::invalid("workflow-mismatch", error.to_string()),
            CommandError::TaskOnAgent(_) => Self::conflict("task-on-agent", error.to_string()),
            CommandError::ForeignAgent(_) => Self::conflict("agent-of-another-tenant", error.to_string()),
            CommandError::Unavailable => Self::Unavailable { reason: error.to_string() },
            CommandError::NotStored(source) => {
                tracing::error!(error = %source, "a command could not be stored");
                Self::Unavailable { reason: "the manager cannot store anything at the moment; try again".to_owned() }
            }
            CommandError::Refused(refusal) => match &refusal {
                Refusal::UnknownTask { task } => Self::not_found("task", task),
                Refusal::TaskOver { .. } => Self::conflict("task-over", refusal.to_string()),
                Refusal::TaskStatus { .. } | Refusal::NothingDue => Self::conflict("task-status", refusal.to_string()),
                Refusal::StaleTurn { .. } => Self::conflict("stale-turn", refusal.to_string()),
                Refusal::UnknownReference { reference } => Self::not_found("step", reference),
                Refusal::AlreadyScheduled { .. } => Self::conflict("step-scheduled", refusal.to_string()),
                Refusal::NotSkippable { .. } => Self::conflict("not-skippable", refusal.to_string()),
                Refusal::NothingToRetry => Self::conflict("nothing-to-retry", refusal.to_string()),
                Refusal::NotRestartable { .. } => Self::conflict("not-restartable", refusal.to_string()),
                Refusal::TooLarge { .. } => Self::invalid("too-large", refusal.to_string()),
                Refusal::StaleDispatch { .. } => Self::conflict("stale-dispatch", refusal.to_string()),
                Refusal::WorkflowStatus { status, .. } => {
                    let code = if status.is_terminal() { "workflow-over" } else { "workflow-not-paused" };
                    Self::conflict(code, refusal.to_string())
                }
            },
        }
    }
}
