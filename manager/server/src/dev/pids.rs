//! Which children somebody waits for.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The processes of one part, told by who keeps it and read by who looks after all others.
#[derive(Clone, Debug, Default)]
pub(super) struct Pids(Arc<Mutex<Vec<i32>>>);

impl Pids {
    /// The part's processes now.
    pub(super) fn set(&self, pids: impl IntoIterator<Item = u32>) {
        *self.lock() = pids.into_iter().filter_map(|pid| i32::try_from(pid).ok()).collect();
    }

    /// Adds the part's processes to `all`.
    pub(super) fn add_to(&self, all: &mut HashSet<i32>) {
        all.extend(self.lock().iter().copied());
    }

    fn lock(&self) -> MutexGuard<'_, Vec<i32>> {
        // The list is whole at every moment, whoever panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
