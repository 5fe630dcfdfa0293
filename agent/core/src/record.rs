//! What the journal keeps.

use std::sync::Arc;

use conductor_model::TaskId;
use conductor_wire::amqp::{TaskEnvelope, TaskFinished};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a task is known by: its id and how often it was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskKey {
    /// The task.
    pub task_id: TaskId,
    /// Counts how often the manager gave it out.
    pub dispatch: u32,
}

impl TaskKey {
    /// The key of an order.
    #[must_use]
    pub fn of(envelope: &TaskEnvelope) -> Self {
        Self { task_id: envelope.task_id, dispatch: envelope.dispatch }
    }
}

/// Which process a task runs in, told apart from a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessMark {
    /// Its process id, also the id of its process group.
    pub pid: i32,
    /// When it was started, in clock ticks since boot, as `/proc/PID/stat` says it.
    pub start_ticks: u64,
}

/// What a task came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskResult {
    /// What the manager is told.
    pub finished: TaskFinished,
    /// Runtime properties that the task set and that are not yet stored; `null` removes a key. They are stored before the
    /// manager is told.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub properties: Map<String, Value>,
}

/// One entry of the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// An order was accepted. A higher dispatch of a task takes the place of a lower one.
    Received(Arc<TaskEnvelope>),
    /// It is about to be started: from here on nobody knows how far it came until there is a result.
    Starting {
        /// Which.
        key: TaskKey,
    },
    /// Its process runs.
    Running {
        /// Which.
        key: TaskKey,
        /// In which process.
        process: ProcessMark,
    },
    /// The agent died under it and it may be begun again: it waits once more.
    Rerun {
        /// Which.
        key: TaskKey,
        /// How often by now.
        count: u32,
    },
    /// It ended.
    Done {
        /// Which.
        key: TaskKey,
        /// How.
        result: Arc<TaskResult>,
    },
    /// The broker has confirmed these results.
    Reported {
        /// Which.
        keys: Vec<TaskKey>,
    },
}
