//! What of the log is alive, as payloads: the content of the next file.

use std::collections::{HashMap, VecDeque};

use conductor_agent_core::limits::REPORTED_KEYS_MAX;
use conductor_agent_core::{Record, TaskKey};
use conductor_model::TaskId;

use super::frame;

#[derive(Debug, Default)]
struct Live {
    order: u64,
    payloads: Vec<Vec<u8>>,
}

/// The live part of the log.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    tasks: HashMap<TaskId, Live>,
    reported: VecDeque<TaskKey>,
    next_order: u64,
}

impl Mirror {
    /// Takes in a record that was or will be written as `payload`.
    pub(super) fn apply(&mut self, record: &Record, payload: Vec<u8>) {
        let task_id = match record {
            Record::Received(envelope) => envelope.task_id,
            Record::Starting { key } | Record::Running { key, .. } | Record::Rerun { key, .. } | Record::Done { key, .. } => {
                key.task_id
            }
            Record::Reported { keys } => {
                for key in keys {
                    self.tasks.remove(&key.task_id);
                    self.reported.push_back(*key);
                }
                while self.reported.len() > REPORTED_KEYS_MAX {
                    self.reported.pop_front();
                }
                return;
            }
        };
        let next_order = &mut self.next_order;
        let live = self.tasks.entry(task_id).or_insert_with(|| {
            *next_order += 1;
            Live { order: *next_order, payloads: Vec::new() }
        });
        live.payloads.push(payload);
    }

    /// Everything alive as payloads, in an order that replays to the same state.
    pub(super) fn payloads(&self) -> Vec<std::borrow::Cow<'_, [u8]>> {
        let mut out = Vec::new();
        if !self.reported.is_empty() {
            out.push(frame::encode_reported(self.reported.iter()).into());
        }
        let mut tasks: Vec<_> = self.tasks.values().collect();
        tasks.sort_unstable_by_key(|live| live.order);
        out.extend(tasks.iter().flat_map(|live| &live.payloads).map(|payload| payload.as_slice().into()));
        out
    }
}
