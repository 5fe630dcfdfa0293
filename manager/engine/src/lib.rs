//! The workflow engine: pure decisions over workflows and tasks.
//!
//! [`Run`] is one workflow in memory. [`Run::decide`] takes an [`Event`] and says what changes ([`Decision`]): rows to
//! store and [`Effect`]s to perform once they are stored. It knows no clock, no randomness, no IO: time, ids and jitter
//! come in with [`Context`]. The same run, event and context give the same decision.
//!
//! **Invariant:** a refused event leaves the run as it was. **Invariant:** what a decision costs depends on what it
//! changes, never on the number of tasks in the workflow. Only [`Run::load`] and what goes on with a workflow that is over
//! (retry, restart, rerun) look at every task; pausing and resuming look at the open ones, and a join or loop that completes
//! at those that it gathers.
//!
//! - [`Plan`]: a definition made ready to run (`plan/`): compile, check, order.
//! - `handle/`: one file for each side that events come from; the table of states stands in its `mod.rs`.
//! - `frame`: what a run adds to its plan: rounds of loops, branches of dynamic forks.
//! - `turn`: one decision being made; `attempt`: attempts at steps; `ending`: how tasks and workflows end; `flow`: what
//!   follows from what; `task_type/`: one file for each task type.
//! - `timer`, `retry`: when a timeout is due, when another attempt is made.
//! - `expression/`: `${…}`; `document`: what expressions see of a run.
//! - `work`: what the manager is asked to do itself.
//! - `child`: workflows that workflows start; `moment`: spans of time and moments as people write them.
//! - `state`: the tasks of a run and the indices over them; `load`: the indices of a run, worked out from its records.
//! - `catalogue`: what is looked up while a decision is made.
//! - `sealed`: secrets and environment values, looked up only where an input is handed over.

mod attempt;
mod catalogue;
mod child;
mod decision;
mod document;
mod ending;
mod event;
mod expression;
mod feed;
mod flow;
mod frame;
mod handle;
mod kept;
mod load;
mod moment;
mod plan;
mod rate_limit;
mod retry;
mod run;
mod sealed;
mod start;
mod state;
mod task_type;
mod timer;
mod turn;
mod work;

#[cfg(test)]
mod tests;

pub use decision::{Decision, Effect, Feed, TaskChange};
pub use event::{
    AgentOutcome, Catalogue, Context, Event, LocalTime, NoCatalogue, Refusal, StartRequest, WorkerStatus, WorkerUpdate,
};
pub use expression::{PayloadFault, resolve_payload};
pub use flow::domain_of;
pub use plan::{Plan, PlanError};
pub use run::Run;
pub use sealed::{LookUp, Sealed};
pub use task_type::{
    StepScript, awaited_workflow, awaits_workflow, is_for_workers, is_limited, script_of, shown_task_type, waits_for_somebody,
    work_kind,
};
pub use work::{ChildOrder, HttpRequest, PerformFailure, ScriptLanguage, ScriptStyle, ServerWork, WorkKind};
