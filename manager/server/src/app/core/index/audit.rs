//! The index as others may look at it: simulations compare it with one that is built anew, and look for what nobody waits
//! for.

use std::collections::BTreeMap;

use conductor_model::TaskId;

use super::{Index, Place};

impl Index {
    /// Whether an open task has a place to wait in, an agent, or a moment from which it has one.
    pub(in crate::app::core) fn has_place(&self, task: TaskId) -> bool {
        self.open.get(&task).is_some_and(|open| open.place != Place::Nowhere || open.later.is_some())
    }

    /// Where each open task stands, in words that are the same for equal indices. What is held back by a limit counts as
    /// waiting for its place: which of them are is found out when places are looked for.
    pub(in crate::app::core) fn standings(&self) -> BTreeMap<TaskId, String> {
        let standing = |(task, open): (&TaskId, &super::Open)| {
            let place = match (&open.place, &open.later) {
                (Place::Held(class), _) => Place::Class(class.clone()),
                (Place::Nowhere, Some(later)) => later.clone(),
                (place, _) => place.clone(),
            };
            let super::Open { workflow, out, rank, watches, timer_at, .. } = open;
            (*task, format!("{workflow} {out} {rank:?} {watches:?} {timer_at:?} {place:?}"))
        };
        self.open.iter().map(standing).collect()
    }
}
