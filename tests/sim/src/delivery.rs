//! What travels between manager, broker, agents and listeners.

use std::sync::{Arc, PoisonError};

use conductor_agent_core::TaskKey;
use conductor_engine::StartRequest;
use conductor_manager::app::core::{CommandError, Message, Sender, StartOrder};
use conductor_model::{IdempotencyStrategy, TaskId, WorkflowId};
use conductor_store::OutboxMessage;
use conductor_wire::amqp::{TaskEvent, TaskEventKind};
use rand::Rng;
use serde_json::Map;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use uuid::Uuid;

use crate::manager::LEASE_INTERVAL_MS;
use crate::performers::result_of;
use crate::scenario::{EVENTED, tenant};
use crate::simulation::World;
use crate::wire::Packet;

/// After this time the broker gives something again that was not acknowledged, in ms.
const GIVE_AGAIN_MS: i64 = 500;

impl World {
    /// Whether the broker answers; the manager hears when that changes.
    pub(crate) fn look_at_broker(&mut self) -> bool {
        let there = self.broker_away_until <= self.now();
        if there != self.broker_connected {
            self.broker_connected = there;
            self.manager.handle.tell(Message::BrokerConnected(there));
        }
        there
    }

    /// What has arrived.
    pub(crate) fn deliver(&mut self, faulty: bool) {
        let now = self.now();
        let broker = self.look_at_broker();
        for packet in self.wire.arrived(now) {
            match packet {
                Packet::Performed { life, turn, result } => {
                    if life == self.story.lives {
                        self.manager.handle.tell(Message::Performed { turn, result });
                    }
                }
                packet if !broker => self.wire.send(self.broker_away_until.plus_ms(50), packet),
                Packet::Confirm(id) => self.manager.handle.tell(Message::OutboxDone(vec![id])),
                Packet::ToAgent { agent, body } => self.order_arrives(agent, &body, faulty),
                Packet::Event { from, event } => self.report(from, *event),
                Packet::Message(task) => self.listen(task),
                Packet::Lease { from, lease } => self.manager.handle.tell(Message::Lease { from, lease }),
            }
        }
    }

    /// An order reaches an agent, which may crash before it acknowledges it: before or after it has written it down,
    /// and what it has written may be lost with its disk.
    fn order_arrives(&mut self, agent: usize, body: &str, faulty: bool) {
        let now = self.now();
        if self.agents[agent].is_removed() {
            return;
        }
        let again = Packet::ToAgent { agent, body: body.to_owned() };
        if !self.agents[agent].is_reachable(now) {
            return self.wire.send(now.plus_ms(300), again);
        }
        let crashes = faulty && self.random.random_bool(0.01);
        let received = !crashes || self.random.random_bool(0.5);
        if received && let Ok(item) = serde_json::from_str(body) {
            let said = self.agents[agent].receive(item, now, &mut self.random);
            if !crashes {
                self.say(agent, said);
            }
        }
        if crashes {
            let until = now.plus_ms(self.random.random_range(100..5_000));
            if self.random.random_bool(0.2) {
                self.agents[agent].lose_journal(until);
                self.story.journals_lost += 1;
            } else {
                self.agents[agent].crash(until);
                self.story.agent_crashes += 1;
            }
            self.wire.send(now.plus_ms(GIVE_AGAIN_MS), again);
        }
    }

    /// The broker gives a report to the manager, and keeps it until that is acknowledged.
    fn report(&mut self, from: Sender, event: TaskEvent) {
        self.reports += 1;
        let number = self.reports;
        let settlements = Arc::clone(&self.settlements);
        self.unsettled.insert(number, (from.clone(), event.clone()));
        self.manager.handle.tell(Message::Report {
            from,
            events: vec![event],
            settled: Box::new(move |dealt_with| {
                settlements.lock().unwrap_or_else(PoisonError::into_inner).push((number, dealt_with));
            }),
        });
    }

    /// Reports that are dealt with go; others come again.
    pub(crate) fn settle(&mut self) {
        let now = self.now();
        let settled = std::mem::take(&mut *self.settlements.lock().unwrap_or_else(PoisonError::into_inner));
        for (number, dealt_with) in settled {
            let Some((from, event)) = self.unsettled.remove(&number) else { continue };
            if !dealt_with {
                self.wire.send(now.plus_ms(GIVE_AGAIN_MS), Packet::Event { from, event: Box::new(event) });
            }
        }
    }

    /// What was stored goes to the broker: late, sometimes twice, sometimes only when it is tried again; and the broker may
    /// lose what it had confirmed.
    pub(crate) fn publish(&mut self, faulty: bool) {
        if !self.broker_connected {
            return;
        }
        let now = self.now();
        while let Ok(message) = self.manager.outgoing.try_recv() {
            let OutboxMessage { id, agent, body, .. } = message;
            let Some(agent) = self.agents.iter().position(|known| known.id == agent) else { continue };
            let copies = match self.random.random_range(0..100) {
                // Its queue is gone.
                _ if self.agents[agent].is_removed() => 0,
                0..2 if faulty => 0,
                2..12 if faulty => 2,
                _ => 1,
            };
            self.story.orders_lost += usize::from(copies == 0);
            let again = if faulty && self.random.random_bool(0.1) { 1_000 } else { 0 };
            for _ in 0..copies {
                let at = now.plus_ms(again + self.random.random_range(1..400));
                self.wire.send(at, Packet::ToAgent { agent, body: body.to_string() });
            }
            self.wire.send(now.plus_ms(again + self.random.random_range(1..200)), Packet::Confirm(id));
        }
    }

    /// Does what the manager has others do. What they say may come twice.
    pub(crate) fn perform(&mut self, faulty: bool) {
        let now = self.now();
        for job in self.manager.performers.handed_out() {
            let result = result_of(&job, faulty, &mut self.random, &mut self.published);
            for _ in 0..if faulty && self.random.random_bool(0.05) { 2 } else { 1 } {
                let at = now.plus_ms(self.random.random_range(1..1_500));
                self.wire.send(at, Packet::Performed { life: self.story.lives, turn: job.turn, result: result.clone() });
            }
        }
        for task in std::mem::take(&mut self.published.waiting) {
            for _ in 0..if faulty && self.random.random_bool(0.2) { 2 } else { 1 } {
                self.wire.send(now.plus_ms(self.random.random_range(1..800)), Packet::Message(task));
            }
        }
    }

    /// A message starts a workflow, as an event handler has it: its id is the key, so that it starts one however often it
    /// comes.
    fn listen(&mut self, message: TaskId) {
        let Some(plan) = self.plans.get(EVENTED).cloned() else { return };
        let (reply, answer) = oneshot::channel();
        let request = StartRequest {
            idempotency_key: Some(message.to_string()),
            event: Some("conductor:outside:b".to_owned()),
            ..StartRequest::new(WorkflowId(Uuid::from_u128(self.random.random())), tenant(), Map::new())
        };
        let idempotency = IdempotencyStrategy::ReturnExisting;
        self.manager.handle.tell(Message::Start(StartOrder { plan, request, idempotency, reply }));
        self.listening.push((message, answer));
    }

    /// Messages that are dealt with go; others come again.
    pub(crate) fn settle_messages(&mut self) {
        let now = self.now();
        for (message, mut answer) in std::mem::take(&mut self.listening) {
            match answer.try_recv() {
                Ok(Ok(_)) => {}
                Err(TryRecvError::Empty) => self.listening.push((message, answer)),
                Ok(Err(_)) | Err(TryRecvError::Closed) => {
                    self.wire.send(now.plus_ms(GIVE_AGAIN_MS), Packet::Message(message));
                }
            }
        }
    }

    /// Somebody wants an agent removed, with its tasks or only if it has none.
    pub(crate) fn remove_agent(&mut self, agent: usize, force: bool) {
        let (reply, answer) = oneshot::channel();
        let id = self.agents[agent].id.clone();
        self.manager.handle.tell(Message::RemoveAgent { tenant: tenant(), agent: id, force, reply });
        self.removing.push((agent, force, answer));
    }

    /// The queue of an agent that was removed goes. Who got no answer asks again.
    pub(crate) fn settle_removals(&mut self) {
        let now = self.now();
        for (agent, force, mut answer) in std::mem::take(&mut self.removing) {
            match answer.try_recv() {
                Ok(Ok(()) | Err(CommandError::UnknownAgent(_))) => {
                    self.wire.forget_queue(agent);
                    if self.random.random_bool(0.3) {
                        self.agents[agent].lose_journal(now);
                    }
                    self.agents[agent].remove(now.plus_ms(self.random.random_range(500..40_000)));
                    self.story.agents_removed += 1;
                }
                Ok(Err(CommandError::AgentBusy { .. })) => {}
                Err(TryRecvError::Empty) => self.removing.push((agent, force, answer)),
                Ok(Err(_)) | Err(TryRecvError::Closed) => self.remove_agent(agent, force),
            }
        }
    }

    /// A moment of every agent's life.
    pub(crate) fn let_agents_live(&mut self, faulty: bool) {
        let now = self.now();
        for n in 0..self.agents.len() {
            let said = self.agents[n].live(now, &mut self.random);
            self.agents[n].join(now, &self.manager.handle);
            self.say(n, said);
            if self.agents[n].lease_at <= now && self.agents[n].is_reachable(now) {
                self.agents[n].lease_at = now.plus_ms(LEASE_INTERVAL_MS);
                if let Some(lease) = self.agents[n].lease()
                    && !(faulty && self.random.random_bool(0.05))
                {
                    let from = self.agents[n].sender();
                    self.wire.send(now.plus_ms(self.random.random_range(1..200)), Packet::Lease { from, lease });
                }
            }
        }
    }

    /// What an agent says reaches the broker, unless it is cut off. Results are said again until the broker has them.
    fn say(&mut self, agent: usize, events: Vec<TaskEvent>) {
        let now = self.now();
        for event in events {
            if !self.agents[agent].is_reachable(now) || !self.broker_connected {
                continue;
            }
            let key = TaskKey { task_id: event.task_id, dispatch: event.dispatch };
            let ends = matches!(event.event, TaskEventKind::Finished(_));
            let at = now.plus_ms(self.random.random_range(1..400));
            let from = self.agents[agent].sender();
            self.wire.send(at, Packet::Event { from, event: Box::new(event) });
            if ends {
                self.agents[agent].confirmed(key, now, &mut self.random);
            }
        }
    }
}
