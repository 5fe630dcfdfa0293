//! A seeded simulation on virtual time: the manager's deciding core over a store that fails, a broker that is slow,
//! doubles, forgets and goes away, agents (the real agent core) that crash, are cut off (some for an hour), lose their journal or are removed and
//! join again, workers that lose what they get, and people who steer what runs.
//!
//! [`run`] plays one seed: a while with faults, then calm until all is done. After each step it looks whether what must
//! always hold does ([`invariants`]). The same seed is the same story, so that a failure can be played again.

mod agent;
mod delivery;
mod digest;
mod faults;
mod hour;
mod invariants;
mod manager;
mod people;
mod performers;
mod scenario;
mod simulation;
mod wire;
mod worker;

pub use simulation::{Broken, Story, run};
