//! The agent's decisions, pure: admission, de-duplication, slots, what to journal, recovery, cancel and drain.
//!
//! **Invariant:** no tokio, no clock, no randomness, no files, no network. What happened comes in as an [`Input`] with the
//! [`Moment`] it happened; what follows goes out as a [`Step`]. The caller makes the step's records durable first and
//! performs its effects afterwards, in order.
//!
//! ```text
//! offer ──▶ Received ──slot──▶ Starting ──▶ Running ──▶ Done ──confirmed──▶ reported (remembered for a while)
//!              │                  │            │          ▲
//!              └─cancel, too late─┴── cancel ──┴──────────┘
//! ```

mod fill;
pub mod ledger;
pub mod limits;
mod outcome;
pub mod policy;
pub mod record;
mod recovery;
mod reported;
pub mod step;

pub use fill::Fill;
pub use ledger::Ledger;
pub use record::{ProcessMark, Record, TaskKey, TaskResult};
pub use recovery::{Fate, Orphan, Recovered};
pub use step::{Admission, Effect, Input, Moment, Step};
