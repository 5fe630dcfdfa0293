//! One story.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use conductor_agent_core::TaskKey;
use conductor_engine::{Plan, StartRequest};
use conductor_manager::app::core::{Message, Sender, StartOrder};
use conductor_model::{IdempotencyStrategy, Timestamp, WorkflowId};
use conductor_store::{MemoryStore, OutboxMessage, Store};
use conductor_wire::amqp::{TaskEvent, TaskEventKind};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Map;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::agent::Agent;
use crate::invariants;
use crate::manager::{LEASE_INTERVAL_MS, Manager};
use crate::scenario::{self, WORKFLOWS, tenant};
use crate::wire::{Packet, Wire};
use crate::worker::Worker;

/// Steps with faults.
const FAULTY_STEPS: usize = 1_200;
/// Steps without faults within which everything must be done.
const CALM_STEPS: usize = 20_000;
/// Workflows that are started.
const STARTS: usize = 25;
const WORKERS: usize = 6;
const AGENTS: usize = 3;
/// When a story begins.
const DAWN: i64 = 1_800_000_000_000;
/// Memory is compared with one that is built anew every so many steps.
const COMPARE_EVERY: usize = 50;

/// All workflows are looked at every so many steps.
const LOOK_AT_ALL_EVERY: usize = 20;

/// What was played.
#[derive(Debug, Default)]
pub struct Story {
    steps: usize,
    lives: u128,
    failed_batches: usize,
    agent_crashes: usize,
    workflows: usize,
    ended_at: i64,
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { steps, lives, failed_batches, agent_crashes, workflows, ended_at } = self;
        let seconds = (ended_at - DAWN) / 1000;
        write!(
            f,
            "{workflows} workflows in {seconds} s and {steps} steps; {lives} managers, {failed_batches} failed batches, {agent_crashes} agents crashed"
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
        let done = world.step(step, faulty).map_err(|what| Broken { step, what })?;
        if done && !faulty {
            world.story.steps = step;
            world.story.ended_at = world.now().0;
            return Ok(world.story);
        }
    }
    let open = invariants::of_all(&world.store).unwrap_or_default();
    let outbox = world.store.open_work().map(|work| work.outbox.len()).unwrap_or_default();
    let what = format!("not all is done long after the faults have stopped: {open:?} go on, {outbox} messages are not sent");
    Err(Broken { step: FAULTY_STEPS + CALM_STEPS, what })
}

/// Reports that the manager has dealt with, or will not: by their number.
type Settlements = Arc<Mutex<Vec<(u64, bool)>>>;

struct World {
    random: StdRng,
    clock: Arc<AtomicI64>,
    store: Arc<MemoryStore>,
    plans: BTreeMap<&'static str, Arc<Plan>>,
    manager: Manager,
    wire: Wire,
    agents: Vec<Agent>,
    workers: Vec<Worker>,
    settlements: Settlements,
    /// Reports with the manager that are not acknowledged.
    unsettled: BTreeMap<u64, (usize, TaskEvent)>,
    reports: u64,
    /// Starts that were not answered.
    starting: Vec<oneshot::Receiver<Result<WorkflowId, conductor_manager::app::core::CommandError>>>,
    to_start: usize,
    story: Story,
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
            starting: Vec::new(),
            to_start: STARTS,
            story: Story { lives: 1, ..Story::default() },
        };
        for n in 0..AGENTS {
            let record = Box::new(world.agents[n].record(world.now()));
            let (reply, _) = oneshot::channel();
            world.manager.handle.tell(Message::Register { record, reply });
        }
        world.manager.round();
        Ok(world)
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.clock.load(Ordering::SeqCst))
    }

    /// One step; true = all is done.
    fn step(&mut self, step: usize, faulty: bool) -> Result<bool, String> {
        self.clock.fetch_add(self.random.random_range(1..150), Ordering::SeqCst);
        let failing = faulty && self.faults()?;
        self.start_some();
        self.deliver();
        self.let_agents_live(faulty);
        let now = self.now();
        for worker in &mut self.workers {
            worker.faulty = faulty;
            worker.live(now, &mut self.random, &self.manager.handle)?;
        }
        self.manager.round();
        self.settle();
        self.publish(faulty);
        if failing {
            // Decided without the store, and built anew from it: only that is looked at.
            self.manager.round();
            return Ok(false);
        }
        invariants::after_step(&self.store, &self.manager, &self.agents)?;
        if step.is_multiple_of(COMPARE_EVERY) {
            let anew = Manager::begin(&self.store, &self.clock, u128::MAX >> 64)?;
            invariants::same_memory(&self.manager, &anew)?;
        }
        if !step.is_multiple_of(LOOK_AT_ALL_EVERY) {
            return Ok(false);
        }
        let open = invariants::of_all(&self.store)?;
        let sent = self.store.open_work().map_err(|error| error.to_string())?.outbox.is_empty();
        Ok(open.is_empty() && sent && self.to_start == 0 && self.starting.is_empty())
    }

    /// Lets something go wrong; true = the store fails in this step.
    fn faults(&mut self) -> Result<bool, String> {
        if self.random.random_bool(0.01) {
            let ms = self.random.random_range(-3_000..20_000);
            self.clock.fetch_add(ms, Ordering::SeqCst);
            self.wire.shift(ms);
            self.agents.iter_mut().for_each(|agent| agent.shift(ms));
            self.workers.iter_mut().for_each(|worker| worker.shift(ms));
        }
        let now = self.now();
        for agent in &mut self.agents {
            if self.random.random_bool(0.004) {
                agent.crash(now.plus_ms(self.random.random_range(100..25_000)));
                self.story.agent_crashes += 1;
            }
            if self.random.random_bool(0.004) {
                agent.cut_until = now.plus_ms(self.random.random_range(100..30_000));
            }
        }
        let failing = self.random.random_bool(0.02);
        if failing {
            self.store.fail_next_batches(self.random.random_range(1..4));
            self.story.failed_batches += 1;
        } else {
            self.store.fail_next_batches(0);
        }
        if self.random.random_bool(0.01) {
            if self.random.random_bool(0.5) {
                // What it was told last is decided and stored, and nobody hears of it.
                self.manager.round();
            }
            self.store.fail_next_batches(0);
            self.story.lives += 1;
            self.manager = Manager::begin(&self.store, &self.clock, self.story.lives)?;
            for (_, (agent, event)) in std::mem::take(&mut self.unsettled) {
                self.wire.send(now.plus_ms(500), Packet::Event { agent, event: Box::new(event) });
            }
            return Ok(true);
        }
        Ok(failing)
    }

    fn start_some(&mut self) {
        let mut waiting = Vec::new();
        for mut answer in std::mem::take(&mut self.starting) {
            match answer.try_recv() {
                Ok(Ok(_)) => self.story.workflows += 1,
                Err(oneshot::error::TryRecvError::Empty) => waiting.push(answer),
                // Nobody knows whether it was started: one more does no harm.
                Ok(Err(_)) | Err(oneshot::error::TryRecvError::Closed) => self.to_start += 1,
            }
        }
        self.starting = waiting;
        if self.to_start == 0 || !self.random.random_bool(0.05) {
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

    /// What has arrived.
    fn deliver(&mut self) {
        let now = self.now();
        for packet in self.wire.arrived(now) {
            match packet {
                Packet::Confirm(id) => self.manager.handle.tell(Message::OutboxDone(vec![id])),
                Packet::ToAgent { agent, body } => {
                    if !self.agents[agent].is_reachable(now) {
                        self.wire.send(now.plus_ms(300), Packet::ToAgent { agent, body });
                    } else if let Ok(item) = serde_json::from_str(&body) {
                        let said = self.agents[agent].receive(item, now, &mut self.random);
                        self.say(agent, said);
                    }
                }
                Packet::Event { agent, event } => self.report(agent, *event),
                Packet::Lease { agent, lease } => {
                    let from = sender(&self.agents[agent]);
                    self.manager.handle.tell(Message::Lease { from, lease });
                }
            }
        }
    }

    /// The broker gives a report to the manager, and keeps it until that is acknowledged.
    fn report(&mut self, agent: usize, event: TaskEvent) {
        self.reports += 1;
        let number = self.reports;
        let settlements = Arc::clone(&self.settlements);
        self.unsettled.insert(number, (agent, event.clone()));
        self.manager.handle.tell(Message::Report {
            from: sender(&self.agents[agent]),
            events: vec![event],
            settled: Box::new(move |dealt_with| {
                settlements.lock().unwrap_or_else(PoisonError::into_inner).push((number, dealt_with));
            }),
        });
    }

    /// Reports that are dealt with go; others come again.
    fn settle(&mut self) {
        let now = self.now();
        let settled = std::mem::take(&mut *self.settlements.lock().unwrap_or_else(PoisonError::into_inner));
        for (number, dealt_with) in settled {
            let Some((agent, event)) = self.unsettled.remove(&number) else { continue };
            if !dealt_with {
                self.wire.send(now.plus_ms(500), Packet::Event { agent, event: Box::new(event) });
            }
        }
    }

    /// What was stored goes to the broker: late, sometimes twice, and sometimes only when it is tried again.
    fn publish(&mut self, faulty: bool) {
        let now = self.now();
        while let Ok(message) = self.manager.outgoing.try_recv() {
            let OutboxMessage { id, agent, body, .. } = message;
            let Some(agent) = self.agents.iter().position(|known| known.id == agent) else { continue };
            let copies = if faulty && self.random.random_bool(0.1) { 2 } else { 1 };
            let again = if faulty && self.random.random_bool(0.1) { 1_000 } else { 0 };
            for _ in 0..copies {
                let at = now.plus_ms(again + self.random.random_range(1..400));
                self.wire.send(at, Packet::ToAgent { agent, body: body.to_string() });
            }
            self.wire.send(now.plus_ms(again + self.random.random_range(1..200)), Packet::Confirm(id));
        }
    }

    fn let_agents_live(&mut self, faulty: bool) {
        let now = self.now();
        for n in 0..self.agents.len() {
            let said = self.agents[n].live(now, &mut self.random);
            self.say(n, said);
            if self.agents[n].lease_at <= now && self.agents[n].is_reachable(now) {
                self.agents[n].lease_at = now.plus_ms(LEASE_INTERVAL_MS);
                if let Some(lease) = self.agents[n].lease()
                    && !(faulty && self.random.random_bool(0.05))
                {
                    self.wire.send(now.plus_ms(self.random.random_range(1..200)), Packet::Lease { agent: n, lease });
                }
            }
        }
    }

    /// What an agent says reaches the broker, unless it is cut off. Results are said again until the broker has them.
    fn say(&mut self, agent: usize, events: Vec<TaskEvent>) {
        let now = self.now();
        for event in events {
            if !self.agents[agent].is_reachable(now) {
                continue;
            }
            let key = TaskKey { task_id: event.task_id, dispatch: event.dispatch };
            let ends = matches!(event.event, TaskEventKind::Finished(_));
            let at = now.plus_ms(self.random.random_range(1..400));
            self.wire.send(at, Packet::Event { agent, event: Box::new(event) });
            if ends {
                self.agents[agent].confirmed(key, now, &mut self.random);
            }
        }
    }
}

fn sender(agent: &Agent) -> Sender {
    Sender { agent: agent.id.clone(), incarnation: "first".to_owned(), clock_ahead_ms: 0 }
}
