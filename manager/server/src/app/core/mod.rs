//! The deciding thread: everything that changes a workflow happens here, one event after the other.
//!
//! It takes messages from one channel, decides in memory, and hands what changed to the store as batches. Up to
//! [`BATCHES_IN_FLIGHT_MAX`] batches are on their way while it goes on deciding; callers are answered once their batch is
//! durable. When a batch fails, everything that was decided since is void: the memory is dropped and rebuilt from the
//! store, by the same function that builds it at start.
//!
//! - `message`: what it can be told.
//! - `runs`: workflows in memory.
//! - `index`: what waits for pollers, for a place or for a moment; derived from the task records alone.
//! - `follow_up`: what one workflow's decision means for others: workflows that start workflows.
//! - `turns`: limits on running workflows, and who is next.
//! - `schedules`: workflows that start by the calendar.
//! - `limits`: how many tasks of a name may be out, and how many may go out in a time.
//! - `fleet`: agents, their leases and what they have.
//! - `commands`, `polling`, `placing`, `performing`, `reports`: one room for each kind of event.
//! - `batch`: what is to be stored, and what follows once it is.

mod batch;
mod command_error;
mod commands;
mod cordon;
mod decide;
mod fleet;
mod follow_up;
mod hosts;
mod index;
mod limits;
mod message;
mod performing;
mod placing;
mod poll_data;
mod polling;
mod precedence;
mod queues;
mod removing;
mod reports;
mod rerunning;
mod runs;
mod schedules;
mod surroundings;
mod timers;
mod turns;

#[cfg(test)]
pub(crate) use follow_up::NESTING_MAX;
pub use index::QueueView;
pub use message::{
    Announcement, CommandError, CoreHandle, HandedOut, HandedOver, Message, PollRequest, Sender, StartOrder, UpdateOrder,
};
pub use performing::Turn;
pub use poll_data::PollSeen;
pub(crate) use reports::output_path;
pub use surroundings::{RealWorld, Surroundings};

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use conductor_engine::Plan;
use conductor_model::{AgentState, FeedEntry, TenantName, Timestamp, WorkflowId};
use conductor_store::{DocumentKind, OutboxMessage, Store, StoreError};
use rustc_hash::FxHashMap;
use tokio::sync::broadcast;

use self::batch::Building;
use self::decide::{AsItIsNow, DecideError};
use self::fleet::Fleet;
use self::follow_up::FollowUps;
use self::index::Index;
use self::limits::{LimitKey, Limits};
use self::message::Answer;
use self::performing::Performing;
use self::polling::Polling;
use self::precedence::precedence;
use self::runs::Runs;
use self::schedules::{ScheduleKey, Schedules};
use crate::app::metrics::Metrics;
use crate::app::perform::Perform;

/// Batches that are on their way to the disk while the next one is made: one is written while those before it are flushed, and
/// those that wait for a slow flush share the next.
const BATCHES_IN_FLIGHT_MAX: u64 = 4;
/// Messages handled before what was decided is handed to the store, while it takes more: with larger batches all callers come
/// to wait for the same one, and nobody works meanwhile.
const MESSAGES_PER_BATCH_MAX: usize = 32;
/// The loop wakes at least this often, so that a clock that was set forward is noticed.
const WAKE_MAX: Duration = Duration::from_secs(1);
/// Milliseconds between two looks at the sizes of the memory.
const WATCH_MS: i64 = 250;

/// Times that the deciding thread goes by.
#[derive(Clone, Debug)]
pub struct CoreSettings {
    /// How often agents renew their lease, in ms.
    pub lease_interval_ms: i64,
    /// After how many ms without renewal an agent's tasks are given up.
    pub lease_ms: i64,
    /// From TERM to KILL on the host, in ms.
    pub grace_ms: u64,
    /// Most HTTP requests of steps under way to one host at once.
    pub requests_per_host: usize,
    /// Where outputs lie that are too large for the broker, until the report that names them.
    pub outputs_dir: PathBuf,
}

/// Where what was decided goes after the commit.
#[derive(Clone, Debug)]
pub struct Outlets {
    /// Messages for agents.
    pub outbox: tokio::sync::mpsc::UnboundedSender<OutboxMessage>,
    /// The feed, for those who listen live.
    pub feed: broadcast::Sender<Arc<FeedEntry>>,
    /// What the manager does itself.
    pub performers: Arc<dyn Perform>,
}

/// The deciding thread's memory. See the module's text.
pub struct Core {
    store: Arc<dyn Store>,
    settings: CoreSettings,
    outlets: Outlets,
    metrics: Metrics,
    handle: CoreHandle,
    world: Box<dyn Surroundings>,
    now: Timestamp,
    /// Limits of registered task definitions, as looked up last; `None` = there is no definition.
    limits: HashMap<LimitKey, Option<Limits>>,
    runs: Runs,
    index: Index,
    fleet: Fleet,
    polling: Polling,
    performing: Performing,
    building: Building,
    follow_ups: FollowUps,
    schedules: Schedules,
    /// Compiled definitions by tenant, name and version as asked for.
    plans_by_name: HashMap<(TenantName, String, Option<i32>), Arc<Plan>>,
    /// Number of the batch that is being made.
    batch_number: u64,
    /// Batches handed to the store and not yet answered.
    in_flight: u64,
    /// A batch failed: nothing more is decided until all are answered and the memory is rebuilt.
    failed: Option<StoreError>,
    last_outbox_id: u64,
    last_feed_id: u64,
    /// Keys of starts that are not yet stored.
    starting_keys: HashMap<message::StartKey, (WorkflowId, u64)>,
    /// Workflows that are being deleted, with the batch that does it.
    removing: FxHashMap<WorkflowId, u64>,
    /// When a batch was last handed to the store.
    submitted_at: Timestamp,
    /// When the gauges were last set.
    watched_at: Timestamp,
    stopping: bool,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("batch_number", &self.batch_number).finish_non_exhaustive()
    }
}

impl Core {
    /// A deciding thread's memory, built from the store.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open(
        store: Arc<dyn Store>,
        settings: CoreSettings,
        outlets: Outlets,
        metrics: Metrics,
        handle: CoreHandle,
        mut world: Box<dyn Surroundings>,
    ) -> Result<Self, StoreError> {
        let now = world.now();
        let mut core = Self {
            store,
            settings,
            outlets,
            metrics,
            handle,
            world,
            now,
            limits: HashMap::new(),
            runs: Runs::default(),
            index: Index::default(),
            fleet: Fleet::default(),
            polling: Polling::default(),
            performing: Performing::default(),
            building: Building::default(),
            follow_ups: FollowUps::default(),
            schedules: Schedules::default(),
            plans_by_name: HashMap::new(),
            batch_number: 1,
            in_flight: 0,
            failed: None,
            last_outbox_id: 0,
            last_feed_id: 0,
            starting_keys: HashMap::new(),
            removing: FxHashMap::default(),
            submitted_at: Timestamp::default(),
            watched_at: Timestamp::default(),
            stopping: false,
        };
        core.rebuild()?;
        Ok(core)
    }

    /// Drops the memory and builds it anew from the store: at start, and after a batch that could not be stored.
    fn rebuild(&mut self) -> Result<(), StoreError> {
        let work = self.store.open_work()?;
        self.now = self.world.now();
        self.runs = Runs::default();
        self.index = Index::default();
        self.performing = Performing::default();
        self.starting_keys.clear();
        self.removing.clear();
        self.last_outbox_id = self.last_outbox_id.max(work.last_outbox_id);
        self.last_feed_id = self.last_feed_id.max(work.last_feed_id);
        let was_connected = self.fleet.broker_connected();
        for agent in &work.agents {
            self.handle.note_agent(agent);
        }
        self.fleet = Fleet::rebuilt(work.agents, self.now, self.settings.lease_ms, was_connected);
        self.follow_ups = FollowUps::default();
        for open in work.workflows {
            self.index.observe_workflow(open.id, open.timer_at);
            if let Some(key) = open.rate_limit_key {
                let line = turns::LineKey { tenant: open.tenant, name: open.name, key };
                let standing = if open.rate_limited { turns::Standing::Waiting } else { turns::Standing::Going };
                self.index.turns.observe(open.id, line, precedence(open.created_at, open.priority), standing);
            }
        }
        for task in &work.tasks {
            self.index.observe(task, self.now);
            self.observe_performing(task);
            if let Some(agent) = task.agent.as_ref().and_then(|part| part.assigned.as_ref()) {
                self.fleet.claim(agent, task.id);
            }
        }
        let resting = self.store.documents(None, DocumentKind::SchedulerRest)?.into_iter().map(|document| document.tenant);
        self.schedules = Schedules::rebuilt(work.schedules, resting.collect());
        self.set_schedule_timers();
        self.index.gates.remember(work.starts);
        for (poller, until) in self.polling.deadlines() {
            self.index.timers.set(timers::Timer::Poller(poller), until);
        }
        for message in work.outbox {
            let _ = self.outlets.outbox.send(message);
        }
        for (key, due) in self.fleet.lease_timers() {
            self.index.timers.set(timers::Timer::Lease(key), due);
        }
        for line in self.index.turns.with_waiting() {
            self.next_turn(&line);
        }
        self.follow_up();
        Ok(())
    }

    /// Decides until it is told to stop or every handle is gone, then stores what is left.
    pub fn run(mut self, messages: &Receiver<Message>) {
        while !(self.stopping && self.in_flight == 0 && self.building.is_empty() && !self.forget_confirmed()) {
            let mut handled = 0;
            match messages.recv_timeout(self.wait()) {
                Ok(message) => {
                    self.now = self.world.now();
                    self.handle(message);
                    handled += 1;
                }
                Err(RecvTimeoutError::Timeout) => self.now = self.world.now(),
                Err(RecvTimeoutError::Disconnected) => self.stopping = true,
            }
            while handled < MESSAGES_PER_BATCH_MAX
                && let Ok(message) = messages.try_recv()
            {
                self.handle(message);
                handled += 1;
            }
            self.turn();
        }
    }

    /// One round, for who drives it without a thread: takes what was said until now, and does what follows.
    pub fn step(&mut self, messages: &Receiver<Message>) {
        self.now = self.world.now();
        while let Ok(message) = messages.try_recv() {
            self.handle(message);
        }
        self.turn();
    }

    /// The next moment at which something is due by itself.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.index.timers.next_due()
    }

    /// What follows on messages: timers that are due, places, polls, and the batch.
    fn turn(&mut self) {
        if self.failed.is_some() {
            self.recover_when_answered();
            return;
        }
        self.fire_timers();
        self.open_eased_gates();
        self.place_waiting();
        self.serve_pollers();
        self.hand_out_work();
        self.submit_batch();
        self.watch_sizes();
    }

    /// Keeps the gauges true, at most a few times a second: counting has its price.
    fn watch_sizes(&mut self) {
        if self.now.ms_since(self.watched_at) < WATCH_MS {
            return;
        }
        self.watched_at = self.now;
        self.metrics.sizes(self.index.counts(), self.runs.len());
        for state in
            [AgentState::Active, AgentState::Draining, AgentState::Offline, AgentState::Unsupported, AgentState::Quarantined]
        {
            self.metrics.agents(state.as_str(), self.fleet.count(state));
        }
        self.metrics.last_feed_id.store(self.last_feed_id, Ordering::Relaxed);
    }

    /// How long to wait for a message: until the next timer, and not at all while a batch could go out.
    fn wait(&self) -> Duration {
        if !self.building.is_empty() && self.in_flight < BATCHES_IN_FLIGHT_MAX {
            return Duration::ZERO;
        }
        match self.index.timers.next_due() {
            Some(due) => (due - self.now).min(WAKE_MAX),
            None => WAKE_MAX,
        }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Committed { batch, result } => self.committed(batch, result),
            Message::Stop => self.stopping = true,
            other if self.failed.is_some() || self.stopping => other.refuse(&CommandError::Unavailable),
            Message::Start(order) => self.start(order),
            Message::Control { tenant, workflow, event, reply } => self.control(&tenant, workflow, event, reply),
            Message::Remove { tenant, workflow, reply } => self.remove(&tenant, workflow, reply),
            Message::Update(order) => self.update(order),
            Message::Poll(request) => self.poll(request),
            Message::OpenTask { tenant, workflow, reference, reply } => self.open_task(&tenant, workflow, &reference, reply),
            Message::Explain { tenant, task, reply } => self.explain(&tenant, task, reply),
            Message::Queues { tenant, reply } => reply.answer(self.index.queue_views(&tenant)),
            Message::PollData { tenant, task_type, reply } => reply.answer(self.polling.seen(&tenant, task_type.as_deref())),
            Message::DomainOf { tenant, task_type, listed, reply } => reply.answer(self.domain_of(tenant, &task_type, &listed)),
            Message::Requeue { tenant, task_type, reply } => self.requeue(&tenant, &task_type, reply),
            Message::LookAgain { tenant, workflow, reply } => self.look_at_workflow(&tenant, workflow, reply),
            Message::Agents { tenant, reply } => reply.answer(self.fleet.views(&tenant)),
            Message::PutSchedule { tenant, schedule, reply } => self.put_schedule(tenant, *schedule, reply),
            Message::DeleteSchedule { tenant, name, reply } => self.delete_schedule(ScheduleKey { tenant, name }, reply),
            Message::PauseSchedule { tenant, name, paused, reason, reply } => {
                self.pause_schedule(ScheduleKey { tenant, name }, paused, reason, reply);
            }
            Message::PauseScheduler { tenant, paused, reply } => self.pause_scheduler(tenant, paused, reply),
            Message::Schedules { tenant, reply } => reply.answer(self.schedules_of(&tenant)),
            Message::Register { record, reply } => self.register(*record, reply),
            Message::Cordon { tenant, agent, cordon, reply } => self.cordon(&tenant, &agent, cordon, reply),
            Message::RemoveAgent { tenant, agent, force, reply } => self.remove_agent(&tenant, &agent, force, reply),
            Message::Report { from, events, settled } => self.report(&from, events, settled),
            Message::Lease { from, lease } => self.renew_lease(&from, &lease),
            Message::Holds { tenant, agent, task, reply } => self.holds(&tenant, &agent, task, reply),
            Message::TaskInput { tenant, agent, task, reply } => self.task_input(&tenant, &agent, task, reply),
            Message::Perform { turn, lane } => self.perform_stored(turn, lane),
            Message::Performed { turn, result } => self.performed(turn, result),
            Message::Announce(feed) => self.announce(*feed),
            Message::OutboxDone(ids) => self.building.outbox_done.extend(ids),
            Message::BrokerConnected(connected) => self.broker_connected(connected),
            Message::PluginsChanged => self.fleet.plugins.clear(),
            Message::DefinitionsChanged => self.definitions_changed(),
        }
    }
}
