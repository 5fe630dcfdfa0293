//! A seeded simulation on virtual time: the manager's deciding core over a store that fails, a broker that is slow,
//! doubles and forgets, agents (the real agent core) that crash and are cut off, and workers that lose what they get.
//!
//! [`run`] plays one seed: a while with faults, then calm until all is done. After each step it looks whether what must
//! always hold does ([`invariants`]). The same seed is the same story, so that a failure can be played again.

mod agent;
pub mod invariants;
mod manager;
mod scenario;
mod simulation;
mod wire;
mod worker;

pub use simulation::{Broken, Story, run};
