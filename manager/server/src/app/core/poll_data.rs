//! Who polled last. Kept in memory alone: after a start nobody has polled yet.

use std::collections::{BTreeMap, HashMap};

use conductor_model::{TenantName, Timestamp};

use super::index::QueueKey;

/// A worker that polled within so many ms counts as there when a domain is chosen.
pub(super) const ACTIVE_MS: i64 = 10_000;
/// Workers remembered at most over all queues; when there are more, those that were not heard of longest go.
const WORKERS_MAX: usize = 20_000;

/// The last poll of one worker in one queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollSeen {
    /// Name of the task definition.
    pub task_type: String,
    /// The domain that it polled.
    pub domain: Option<String>,
    /// Who.
    pub worker: String,
    /// When.
    pub at: Timestamp,
}

#[derive(Debug, Default)]
struct Seen {
    last: Timestamp,
    workers: BTreeMap<String, Timestamp>,
}

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct PollData {
    queues: HashMap<QueueKey, Seen>,
    workers: usize,
}

impl PollData {
    /// A worker polled.
    pub(super) fn polled(&mut self, key: &QueueKey, worker: &str, now: Timestamp) {
        if let Some(seen) = self.queues.get_mut(key) {
            seen.last = now;
            if let Some(at) = seen.workers.get_mut(worker) {
                *at = now;
                return;
            }
        }
        if self.workers >= WORKERS_MAX {
            self.forget_half();
        }
        let seen = self.queues.entry(key.clone()).or_default();
        seen.last = now;
        seen.workers.insert(worker.to_owned(), now);
        self.workers += 1;
    }

    /// When a queue was last polled.
    pub(super) fn last(&self, key: &QueueKey) -> Option<Timestamp> {
        self.queues.get(key).map(|seen| seen.last)
    }

    /// The polls of a tenant, of one task type where one is named, by type, domain and worker.
    pub(super) fn seen(&self, tenant: &TenantName, task_type: Option<&str>) -> Vec<PollSeen> {
        let wanted = |key: &QueueKey| key.tenant == *tenant && task_type.is_none_or(|wanted| *key.task_type == *wanted);
        let mut queues: Vec<_> = self.queues.iter().filter(|(key, _)| wanted(key)).collect();
        queues.sort_by_key(|(key, _)| *key);
        let one = |key: &QueueKey, worker: &str, at: Timestamp| PollSeen {
            task_type: key.task_type.to_string(),
            domain: key.domain.clone(),
            worker: worker.to_owned(),
            at,
        };
        queues.into_iter().flat_map(|(key, seen)| seen.workers.iter().map(move |(worker, at)| one(key, worker, *at))).collect()
    }

    fn forget_half(&mut self) {
        let mut times: Vec<_> = self.queues.values().flat_map(|seen| seen.workers.values().copied()).collect();
        times.sort_unstable();
        let Some(oldest_kept) = times.get(times.len() / 2).copied() else { return };
        self.queues.retain(|_, seen| {
            seen.workers.retain(|_, at| *at > oldest_kept);
            !seen.workers.is_empty()
        });
        self.workers = self.queues.values().map(|seen| seen.workers.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> QueueKey {
        QueueKey { tenant: TenantName::default_tenant(), task_type: name.into(), domain: None }
    }

    #[test]
    fn the_last_poll_of_each_worker_is_known() {
        let mut data = PollData::default();
        data.polled(&key("a"), "w1", Timestamp(1));
        data.polled(&key("a"), "w2", Timestamp(2));
        data.polled(&key("a"), "w1", Timestamp(3));
        data.polled(&key("b"), "w1", Timestamp(4));
        let seen = data.seen(&TenantName::default_tenant(), Some("a"));
        let seen: Vec<_> = seen.iter().map(|seen| (seen.worker.as_str(), seen.at.0)).collect();
        assert_eq!(seen, [("w1", 3), ("w2", 2)]);
        assert_eq!(data.last(&key("a")), Some(Timestamp(3)));
        assert_eq!(data.seen(&TenantName::default_tenant(), None).len(), 3);
    }

    #[test]
    fn a_flood_of_made_up_workers_does_not_fill_the_memory() {
        let mut data = PollData::default();
        for n in 0..3 * WORKERS_MAX {
            data.polled(&key("a"), &format!("w{n}"), Timestamp(i64::try_from(n).unwrap()));
        }
        assert!(data.workers <= WORKERS_MAX);
        assert_eq!(data.workers, data.seen(&TenantName::default_tenant(), None).len());
    }
}
