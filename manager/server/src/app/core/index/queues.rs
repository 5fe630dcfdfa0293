//! The index as operators look at it: queues, and what waits nowhere.

use std::collections::BTreeSet;

use conductor_model::{TaskId, TenantName, WorkflowId};

use super::{Index, Open, Place, QueueKey};

/// The tasks of one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueView {
    /// Name of the task definition.
    pub task_type: String,
    /// The domain of workers that may have them.
    pub domain: Option<String>,
    /// How many wait and may be polled now.
    pub waiting: u64,
    /// How many workers have and have not ended.
    pub handed: u64,
}

impl Index {
    /// Tasks that wait for pollers or are with workers, by type and domain.
    pub(in crate::app::core) fn queue_views(&self, tenant: &TenantName) -> Vec<QueueView> {
        let keys: BTreeSet<&QueueKey> = self.queues.keys().chain(self.handed.keys()).collect();
        let own = keys.into_iter().filter(|key| key.tenant == *tenant);
        let view = |key: &QueueKey| QueueView {
            task_type: key.task_type.to_string(),
            domain: key.domain.clone(),
            waiting: self.queue_len(key) as u64,
            handed: self.handed.get(key).copied().unwrap_or(0),
        };
        own.map(view).collect()
    }

    /// The open tasks of a name that wait nowhere, with their workflows.
    pub(in crate::app::core) fn parked(&self, tenant: &TenantName, name: &str) -> Vec<(TaskId, WorkflowId)> {
        let parked = |(task, open): (&TaskId, &Open)| {
            let same = open.limit.tenant == *tenant && &*open.limit.name == name;
            (same && open.place == Place::Nowhere && open.later.is_none() && !open.out).then_some((*task, open.workflow))
        };
        self.open.iter().filter_map(parked).collect()
    }

    /// How many tasks are open, wait for pollers, wait for a place; and how many timers are set.
    pub(in crate::app::core) fn counts(&self) -> [usize; 4] {
        let queued = self.queues.values().map(BTreeSet::len).sum();
        let waiting = self.classes.values().map(BTreeSet::len).sum();
        [self.open.len(), queued, waiting, self.timers.len()]
    }
}
