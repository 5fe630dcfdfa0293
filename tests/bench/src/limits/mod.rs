//! What this machine can do at all: each figure of Conductor is held against one of these, taken in the same run.

mod publish;
mod spawn;
mod store;

pub use publish::publishes_per_s;
pub use spawn::spawns_per_s;
pub use store::decisions_per_s;

/// How often each limit is taken; the median counts.
const ROUNDS: usize = 3;
