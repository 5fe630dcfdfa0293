//! How many HTTP requests are under way to one host at once. Those beyond wait in their order, off the places that all
//! requests share: so a host that answers slowly takes no place that another one's requests could use, and is not overrun.
//!
//! A place that becomes free belongs at once to the request that waits longest.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use conductor_model::TaskId;
use rustc_hash::FxHashMap;

use super::performing::Turn;

/// One host's places.
#[derive(Debug, Default)]
struct Host {
    /// Under way, or given to one that waited. Never below the limit while somebody waits.
    taken: usize,
    waiting: VecDeque<Turn>,
}

/// All hosts to which requests are under way, by host and port.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    hosts: HashMap<Arc<str>, Host>,
    /// Who waited and has a place that is not used yet.
    given: FxHashMap<TaskId, Arc<str>>,
}

impl Hosts {
    /// Whether a request may go to a host of which at most so many places may be taken. Else it waits from now on.
    pub(super) fn enter(&mut self, host: &Arc<str>, turn: Turn, most: usize) -> bool {
        if self.given.get(&turn.task) == Some(host) {
            self.given.remove(&turn.task);
            return true;
        }
        let places = self.hosts.entry(Arc::clone(host)).or_default();
        if places.taken >= most {
            places.waiting.push_back(turn);
            return false;
        }
        places.taken += 1;
        true
    }

    /// A place is free. Who has it now is to be handed out.
    pub(super) fn leave(&mut self, host: &Arc<str>) -> Option<Turn> {
        let places = self.hosts.get_mut(host)?;
        if let Some(next) = places.waiting.pop_front() {
            self.given.insert(next.task, Arc::clone(host));
            return Some(next);
        }
        places.taken = places.taken.saturating_sub(1);
        if places.taken == 0 {
            self.hosts.remove(host);
        }
        None
    }

    /// A task that was given a place does not use it.
    pub(super) fn turn_down(&mut self, task: TaskId) -> Option<Turn> {
        let host = self.given.remove(&task)?;
        self.leave(&host)
    }
}
