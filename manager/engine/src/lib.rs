//! The workflow engine: pure decisions over workflows and tasks.
//!
//! [`Run`] is one workflow in memory. [`Run::decide`] takes an [`Event`] and says what changes ([`Decision`]): rows to
//! store and [`Effect`]s to perform once they are stored. It knows no clock, no randomness, no IO: time, ids and jitter
//! come in with [`Context`]. The same run, event and context give the same decision.
//!
//! **Invariant:** a refused event leaves the run as it was. **Invariant:** what a decision costs depends on what it
//! changes, never on the number of tasks in the workflow.

mod decision;
mod event;
mod plan;
mod run;

pub use decision::{Decision, Effect, Feed, TaskChange};
pub use event::{AgentOutcome, Context, Event, Refusal, StartRequest, WorkerStatus, WorkerUpdate};
pub use plan::{Plan, PlanError};
pub use run::Run;
