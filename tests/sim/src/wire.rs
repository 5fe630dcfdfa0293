//! What is on its way between manager, broker and agents, in order of arrival.

use std::collections::BTreeMap;

use conductor_engine::PerformFailure;
use conductor_manager::app::core::{Sender, Turn};
use conductor_model::{TaskId, Timestamp};
use conductor_wire::amqp::{Lease, TaskEvent};
use serde_json::Value;

/// Something on its way.
#[derive(Clone, Debug)]
pub enum Packet {
    /// The broker has a message of the manager's: it is confirmed.
    Confirm(u64),
    /// An item for an agent, by its place among the agents.
    ToAgent {
        /// Which agent.
        agent: usize,
        /// The item as JSON.
        body: String,
    },
    /// What an agent says of a task; kept until the manager has dealt with it.
    Event {
        /// Who, as it was when it said so.
        from: Sender,
        /// What.
        event: Box<TaskEvent>,
    },
    /// What came of work that a life of the manager's had done: its end is the end of that.
    Performed {
        /// Which life.
        life: u128,
        /// For which task.
        turn: Turn,
        /// What.
        result: Result<Value, PerformFailure>,
    },
    /// A message for who listens, by the task that published it; given again until it is dealt with.
    Message(TaskId),
    /// An agent's lease; not kept.
    Lease {
        /// Whose, as it was then.
        from: Sender,
        /// What it has.
        lease: Lease,
    },
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Wire {
    packets: BTreeMap<(Timestamp, u64), Packet>,
    last: u64,
}

impl Wire {
    /// Sends something that arrives at a moment.
    pub fn send(&mut self, at: Timestamp, packet: Packet) {
        self.last += 1;
        self.packets.insert((at, self.last), packet);
    }

    /// What has arrived.
    pub fn arrived(&mut self, now: Timestamp) -> Vec<Packet> {
        let later = self.packets.split_off(&(now.plus_ms(1), 0));
        std::mem::replace(&mut self.packets, later).into_values().collect()
    }

    /// An agent's queue is gone, and what was in it.
    pub fn forget_queue(&mut self, of: usize) {
        self.packets.retain(|_, packet| !matches!(packet, Packet::ToAgent { agent, .. } if *agent == of));
    }

    /// Whether a message is on its way to who listens.
    pub fn has_messages(&self) -> bool {
        self.packets.values().any(|packet| matches!(packet, Packet::Message(_)))
    }

    /// The clock was set: what is on its way takes as long as it would have.
    pub fn shift(&mut self, ms: i64) {
        self.packets =
            std::mem::take(&mut self.packets).into_iter().map(|((at, id), packet)| ((at.plus_ms(ms), id), packet)).collect();
    }
}
