//! What comes from and goes to the broker, as the session asks for it.

use std::rc::Rc;

use conductor_agent_core::{Admission, Input, TaskKey};
use conductor_wire::amqp::{Lease, ToAgent, ToAgentItem};

use super::trust::host_mark;
use super::{After, Daemon};
use crate::clock;
use crate::hold;
use crate::identity::Identity;
use crate::link::outbox::{LogBatch, Settle};
use crate::link::session::Agent;

/// Wait before a result that the broker did not take is said again.
const SAY_AGAIN_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

impl Agent for Daemon {
    fn received(self: Rc<Self>, tag: u64, body: &[u8]) {
        if self.ledger.borrow().is_draining() {
            return self.then(After::Settle(Settle::GiveBack(tag)));
        }
        let message: ToAgent = match serde_json::from_slice(body) {
            Ok(message) => message,
            Err(error) => {
                tracing::error!(%error, "a message from the manager cannot be read; it is dropped");
                return self.then(After::Settle(Settle::Drop(tag)));
            }
        };
        let believed = self.believe(&message);
        let items: Vec<ToAgentItem> = match serde_json::from_str(message.items.get()) {
            Ok(items) => items,
            Err(error) => {
                tracing::error!(%error, "what a message from the manager says cannot be read; it is dropped");
                return self.then(After::Settle(Settle::Drop(tag)));
            }
        };
        if let Err(why) = believed {
            tracing::error!(%why, items = items.len(), "a message is not believed; nothing of it is done");
            self.refuse(&items, why);
            return self.then(After::Settle(Settle::Drop(tag)));
        }
        let mut given_back = false;
        for item in items {
            match item {
                ToAgentItem::Task(envelope) => {
                    let key = TaskKey::of(&envelope);
                    let admission = self.input(Input::Offer(envelope));
                    tracing::debug!(task.id = %key.task_id, dispatch = key.dispatch, ?admission, "a task was offered");
                    given_back |= admission == Some(Admission::GivenBack);
                }
                ToAgentItem::Cancel(order) => {
                    tracing::debug!(task.id = %order.task_id, reason = order.reason, "a task's end was ordered");
                    self.input(Input::Cancel(order));
                }
            }
        }
        self.then(After::Settle(if given_back { Settle::GiveBack(tag) } else { Settle::Ack(tag) }));
    }

    fn connected(self: Rc<Self>) {
        self.connected_once.set(true);
        let unconfirmed = self.ledger.borrow().unconfirmed();
        for effect in unconfirmed {
            self.perform(effect);
        }
        self.say_started_again();
    }

    fn confirmed(self: Rc<Self>, results: Vec<TaskKey>) {
        self.input(Input::Confirmed(results));
    }

    fn unconfirmed(self: Rc<Self>, results: Vec<TaskKey>) {
        if results.is_empty() {
            return;
        }
        tokio::task::spawn_local(async move {
            tokio::time::sleep(SAY_AGAIN_AFTER).await;
            let unconfirmed = self.ledger.borrow().unconfirmed();
            for effect in unconfirmed {
                if let conductor_agent_core::Effect::Deliver { envelope, .. } = &effect
                    && results.contains(&TaskKey::of(envelope))
                {
                    self.perform(effect);
                }
            }
        });
    }

    fn lease_message(&self) -> Vec<u8> {
        let ledger = self.ledger.borrow();
        let reason = ledger.trouble().map(str::to_owned).or_else(|| hold::reason(&self.settings.data_dir));
        let lease = Lease {
            tasks: ledger.leased(),
            draining: ledger.is_draining() || reason.is_some(),
            reason: reason.unwrap_or_default(),
            free_slots: ledger.free_slots(),
            host: host_mark().to_owned(),
        };
        self.sender.lease(clock::now(), &lease)
    }

    fn report_message(&self, events: &[String]) -> Vec<u8> {
        self.sender.report(clock::now(), events)
    }

    fn log_message(&self, batch: &LogBatch) -> Vec<u8> {
        self.sender.logs(clock::now(), &batch.tenant, &batch.lines)
    }

    fn identity(&self) -> Option<Identity> {
        self.own_identity()
    }

    fn is_draining(&self) -> bool {
        self.ledger.borrow().is_draining()
    }
}
