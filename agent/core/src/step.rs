//! What comes into the ledger and what goes out.

use std::sync::Arc;

use conductor_model::Timestamp;
use conductor_wire::amqp::{CancelOrder, TaskEnvelope, TaskEvent};

use crate::record::{ProcessMark, Record, TaskKey, TaskResult};

/// A moment by both clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The agent's clock.
    pub here: Timestamp,
    /// The manager's clock, as far as it is known.
    pub manager: Timestamp,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The manager orders a task.
    Offer(Box<TaskEnvelope>),
    /// The manager orders a task's end.
    Cancel(CancelOrder),
    /// A task's process was started.
    Started {
        /// Which.
        key: TaskKey,
        /// In which process.
        process: ProcessMark,
    },
    /// A task ended, or could not be started.
    Exited {
        /// Which.
        key: TaskKey,
        /// How.
        result: Box<TaskResult>,
    },
    /// What ran the task is gone without a result.
    Abandoned(TaskKey),
    /// What a result had to have stored first is stored: this is what is left to be told. Never stored again from here on,
    /// as somebody else may change it once the result is known.
    Stored {
        /// Whose.
        key: TaskKey,
        /// The result without properties, and without an output that is too large for a message.
        result: Box<TaskResult>,
    },
    /// The broker confirmed the results of these tasks.
    Confirmed(Vec<TaskKey>),
    /// No new work from here on; what runs may end.
    Drain,
    /// The journal takes no more records, and why.
    JournalFailed(String),
    /// The journal takes records again.
    JournalRecovered,
    /// What the host is short of; `None` = of nothing any more.
    HostShort(Option<String>),
    /// Why there is nobody to run tasks; `None` = there is.
    RunnerAway(Option<String>),
}

/// What became of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is new, and ours once the step's records are durable.
    Accepted,
    /// It is known already; where it is done, its result is said again.
    Duplicate,
    /// The order is out of date: a later dispatch of the task is known, or it was meant for an earlier journal.
    Stale,
    /// It is not taken; the step says so to the manager.
    Refused,
    /// The agent is draining: the order goes back to its queue.
    GivenBack,
}

/// What to do once the step's records are durable.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Start the task.
    Start(Arc<TaskEnvelope>),
    /// End the task that is starting or running.
    Stop {
        /// Which.
        key: TaskKey,
        /// Why, for people.
        reason: String,
    },
    /// Store the task's properties, then report its result until the broker has confirmed it.
    Deliver {
        /// The order, for its workflow and node instance.
        envelope: Arc<TaskEnvelope>,
        /// How it ended.
        result: Arc<TaskResult>,
    },
    /// Say something to the manager once; nobody waits for a confirmation.
    Say(Box<TaskEvent>),
}

/// What follows from one input.
#[derive(Debug, Default)]
pub struct Step {
    /// What became of the offer, where the input was one.
    pub admission: Option<Admission>,
    /// To be made durable, in order, before any effect.
    pub journal: Vec<Record>,
    /// To be performed afterwards, in order.
    pub effects: Vec<Effect>,
}
