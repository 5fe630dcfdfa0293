//! One story.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use conductor_engine::{Plan, StartRequest};
use conductor_manager::app::core::{CommandError, Message, Sender, StartOrder};
use conductor_model::{IdempotencyStrategy, TaskId, Timestamp, WorkflowId};
use conductor_store::{MemoryStore, Store};
use conductor_wire::amqp::TaskEvent;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Map;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::agent::Agent;
use crate::invariants::{self, Seen};
use crate::manager::Manager;
use crate::performers::Published;
use crate::scenario::{self, WORKFLOWS, tenant};
use crate::wire::Wire;
use crate::worker::Worker;
use crate::{digest, people};

/// Steps with faults.
const FAULTY_STEPS: usize = 1_200;
/// Steps without faults within which everything must be done.
const CALM_STEPS: usize = 20_000;
/// Workflows that are started.
const STARTS: usize = 40;
const WORKERS: usize = 8;
const AGENTS: usize = 3;
/// Longest step in ms.
pub(crate) const STEP_MS: i64 = 150;
/// In every so many stories an agent is cut off for an hour.
const HOUR_EVERY: u64 = 3;
/// When a story begins.
const DAWN: i64 = 1_800_000_000_000;
/// When the schedules end, in ms after dawn.
const SCHEDULES_END_MS: i64 = 90_000;
/// Memory is compared with one that is built anew every so many steps.
const COMPARE_EVERY: usize = 50;
/// In the calm, what waits for people goes on every so many steps.
const PEOPLE_EVERY: usize = 10;

/// What was played.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    pub(crate) steps: usize,
    pub(crate) lives: u128,
    pub(crate) failed_batches: usize,
    pub(crate) agent_crashes: usize,
    pub(crate) journals_lost: usize,
    pub(crate) agents_removed: usize,
    pub(crate) hours_cut_off: usize,
    pub(crate) broker_failures: usize,
    pub(crate) orders_lost: usize,
    pub(crate) workflows: usize,
    pub(crate) ended_at: i64,
    /// Over everything that is stored at the end.
    pub(crate) digest: u64,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, lives, failed_batches, agent_crashes, journals_lost, agents_removed, .. } = self;
        let Self { broker_failures, orders_lost, hours_cut_off, workflows, ended_at, digest, .. } = self;
        let seconds = (ended_at - DAWN) / 1000;
        write!(
            f,
            "{workflows} workflows in {seconds} s and {steps} steps; {lives} managers, {failed_batches} steps without a disk, \
             {broker_failures} without a broker, {agent_crashes} agents crashed, {journals_lost} lost their journal, {agents_removed} were \
             removed, {hours_cut_off} were cut off for an hour, {orders_lost} orders lost; ends as {digest:016x}"
        )
    }
}

/// What did not hold, and when.
#[derive(Debug)]
pub struct Broken {
    step: usize,
    what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at step {}: {}", self.step, self.what)
    }
}

/// Plays a seed.
///
/// # Errors
/// What did not hold.
pub fn run(seed: u64) -> Result<Story, Broken> {
    let mut world = World::new(seed).map_err(|what| Broken { step: 0, what })?;
    for step in 0..FAULTY_STEPS + CALM_STEPS {
        let faulty = step < FAULTY_STEPS;
        if step == FAULTY_STEPS && seed.is_multiple_of(HOUR_EVERY) {
            world.cut_off_for_an_hour().map_err(|what| Broken { step, what })?;
        }
        let done = world.step(step, faulty).map_err(|what| Broken { step, what })?;
        if done && !faulty {
            world.end().map_err(|what| Broken { step, what })?;
            world.story.steps = step;
            return Ok(world.story);
        }
    }
    let open = invariants::open(&world.store).unwrap_or_default();
    let outbox = world.store.open_work().map(|work| work.outbox.len()).unwrap_or_default();
    let what = format!("not all is done long after the faults have stopped: {open:?} go on, {outbox} messages are not sent");
    Err(Broken { step: FAULTY_STEPS + CALM_STEPS, what })
}

/// Reports that the manager has dealt with, or will not: by their number.
type Settlements = Arc<Mutex<Vec<(u64, bool)>>>;
/// An agent that is to be removed, whether with its tasks, and the answer.
type Removal = (usize, bool, oneshot::Receiver<Result<(), CommandError>>);
type Started = oneshot::Receiver<Result<WorkflowId, CommandError>>;

pub(crate) struct World {
    pub(crate) random: StdRng,
    pub(crate) clock: Arc<AtomicI64>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) plans: BTreeMap<String, Arc<Plan>>,
    pub(crate) manager: Manager,
    pub(crate) wire: Wire,
    pub(crate) agents: Vec<Agent>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) settlements: Settlements,
    /// Reports with the manager that are not acknowledged.
    pub(crate) unsettled: BTreeMap<u64, (Sender, TaskEvent)>,
    pub(crate) reports: u64,
    /// Messages that the manager's tasks published.
    pub(crate) published: Published,
    /// Messages with the manager that are not acknowledged.
    pub(crate) listening: Vec<(TaskId, Started)>,
    pub(crate) removing: Vec<Removal>,
    pub(crate) broker_connected: bool,
    pub(crate) broker_away_until: Timestamp,
    pub(crate) disk_full_until: Timestamp,
    /// Starts that were not answered.
    starting: Vec<Started>,
    pub(crate) to_start: usize,
    pub(crate) longest_step_ms: i64,
    pub(crate) seen: Seen,
    pub(crate) story: Story,
}

impl World {
    fn new(seed: u64) -> Result<Self, String> {
        let clock = Arc::new(AtomicI64::new(DAWN));
        let store = Arc::new(MemoryStore::new());
        let plans = scenario::define(&store)?;
        let manager = Manager::begin(&store, &clock, 1)?;
        let mut agents = Vec::new();
        for n in 0..AGENTS {
            agents.push(Agent::new(format!("agent-{n}").parse().map_err(|_| "agent id".to_owned())?));
        }
        let mut world = Self {
            random: StdRng::seed_from_u64(seed),
            clock,
            store,
            plans,
            manager,
            wire: Wire::default(),
            agents,
            workers: (0..WORKERS).map(|_| Worker::new()).collect(),
            settlements: Arc::default(),
            unsettled: BTreeMap::new(),
            reports: 0,
            published: Published::default(),
            listening: Vec::new(),
            removing: Vec::new(),
            broker_connected: true,
            broker_away_until: Timestamp(0),
            disk_full_until: Timestamp(0),
            starting: Vec::new(),
            to_start: STARTS,
            longest_step_ms: STEP_MS,
            seen: Seen::default(),
            story: Story { lives: 1, ..Story::default() },
        };
        for (name, makes_up) in [("every", true), ("last", false)] {
            let schedule = Box::new(scenario::schedule(name, makes_up, schedules_end())?);
            let (reply, _) = oneshot::channel();
            world.manager.handle.tell(Message::PutSchedule { tenant: tenant(), schedule, reply });
        }
        world.manager.round();
        Ok(world)
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(self.clock.load(Ordering::SeqCst))
    }

    pub(crate) fn set_clock(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    /// One step; true = all is done.
    pub(crate) fn step(&mut self, step: usize, faulty: bool) -> Result<bool, String> {
        let ms = self.random.random_range(1..self.longest_step_ms);
        self.set_clock(ms);
        let failing = if faulty { self.faults()? } else { false };
        if !faulty {
            self.calm_down();
        }
        self.start_some();
        self.deliver(faulty);
        self.let_agents_live(faulty);
        let now = self.now();
        for worker in &mut self.workers {
            worker.faulty = faulty;
            worker.live(now, &mut self.random, &self.manager.handle)?;
        }
        if faulty && self.random.random_bool(0.08) {
            if let Some(workflow) = people::meddle(&self.store, &self.manager.handle, &mut self.random)? {
                self.seen.asked_again(workflow);
            }
        } else if !faulty && step.is_multiple_of(PEOPLE_EVERY) {
            people::let_all_go_on(&self.store, &self.manager.handle)?;
        }
        self.manager.round();
        self.settle();
        self.settle_messages();
        self.settle_removals();
        self.perform(faulty);
        self.publish(faulty);
        if failing {
            // Decided without the store, and built anew from it: only that is looked at.
            self.manager.round();
            return Ok(false);
        }
        let open = invariants::after_step(&self.store, &self.manager, &self.agents, &mut self.seen)?;
        if step.is_multiple_of(COMPARE_EVERY) {
            let anew = Manager::begin(&self.store, &self.clock, u128::MAX >> 64)?;
            invariants::same_memory(&self.store, &self.manager, &anew)?;
        }
        let sent = self.store.open_work().map_err(|error| error.to_string())?.outbox.is_empty();
        let nothing_comes = self.to_start == 0
            && self.starting.is_empty()
            && self.listening.is_empty()
            && !self.wire.has_messages()
            && self.now() > schedules_end();
        Ok(open == 0 && sent && nothing_comes)
    }

    /// All is done: what can only be said then.
    fn end(&mut self) -> Result<(), String> {
        invariants::at_the_end(&self.store, &self.seen, &self.published.all, DAWN, schedules_end().0)?;
        let anew = Manager::begin(&self.store, &self.clock, u128::MAX >> 64)?;
        invariants::same_memory(&self.store, &self.manager, &anew)?;
        self.story.ended_at = self.now().0;
        self.story.digest = digest::of(&self.store)?;
        Ok(())
    }

    fn start_some(&mut self) {
        let mut waiting = Vec::new();
        for mut answer in std::mem::take(&mut self.starting) {
            match answer.try_recv() {
                Ok(Ok(id)) => {
                    self.story.workflows += 1;
                    self.seen.acknowledged.insert(id);
                }
                Err(oneshot::error::TryRecvError::Empty) => waiting.push(answer),
                // Nobody knows whether it was started: one more does no harm.
                Ok(Err(_)) | Err(oneshot::error::TryRecvError::Closed) => self.to_start += 1,
            }
        }
        self.starting = waiting;
        if self.to_start == 0 || !self.random.random_bool(0.06) {
            return;
        }
        self.to_start -= 1;
        let name = WORKFLOWS[self.random.random_range(0..WORKFLOWS.len())];
        let Some(plan) = self.plans.get(name).cloned() else { return };
        let (reply, answer) = oneshot::channel();
        let request = StartRequest {
            priority: self.random.random_range(0..3),
            ..StartRequest::new(WorkflowId(Uuid::from_u128(self.random.random())), tenant(), Map::new())
        };
        let idempotency = IdempotencyStrategy::Fail;
        self.manager.handle.tell(Message::Start(StartOrder { plan, request, idempotency, reply }));
        self.starting.push(answer);
    }
}

fn schedules_end() -> Timestamp {
    Timestamp(DAWN + SCHEDULES_END_MS)
}
