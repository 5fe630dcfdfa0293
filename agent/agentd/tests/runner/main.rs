//! The runner against real processes, good and bad. No manager, no broker.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod ctx;
mod desk;
mod ends;
mod leftovers;
mod output;
mod paths;
mod persistent;
mod rig;
