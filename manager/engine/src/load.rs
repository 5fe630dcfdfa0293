//! The frames and indices of a run, worked out from its records in one pass.

use std::sync::Arc;

use conductor_model::{TaskRecord, TaskStatus, WorkflowRecord, WorkflowStatus};

use crate::flow;
use crate::frame::Frames;
use crate::kept::Kept;
use crate::plan::{Kind, Plan};
use crate::run::Run;
use crate::state::State;
use crate::task_type::fork_join_dynamic;

/// Makes a run of its records, in any order. Tasks whose reference is not known are left out: the plan belongs to the
/// digest that the workflow was started with, so there are none.
pub(crate) fn load(plan: Arc<Plan>, workflow: WorkflowRecord, mut tasks: Vec<TaskRecord>) -> Run {
    tasks.sort_unstable_by_key(|task| task.seq);
    let last_seq = tasks.last().map_or(0, |task| task.seq);
    let mut frames = Frames::new(Arc::clone(&plan));
    let mut state = State::of(&workflow);
    for record in tasks {
        let Some(site) = frames.resolve(&record.reference) else { continue };
        let branches = match frames.node(site).kind {
            Kind::DynamicFork if record.status == TaskStatus::Completed => {
                fork_join_dynamic::plan_of(plan.snapshot(), &record.input).ok()
            }
            _ => None,
        };
        let (is_loop, round) = (matches!(frames.node(site).kind, Kind::Loop { .. }), record.iteration);
        state.add(&frames, site, record);
        if let Some(branches) = branches {
            frames.add_fork(site, Arc::new(branches));
        }
        if is_loop && round > 0 {
            frames.round(site, round);
        }
    }
    let workflow = Kept::stored(workflow, last_seq);
    let mut run = Run { plan, workflow, frames, state };
    if !run.workflow.status.is_terminal() {
        derive_waits(&mut run);
    }
    run
}

/// What depends on how far the flow has come: joins in progress, and what is to be drawn when a paused workflow goes on.
fn derive_waits(run: &mut Run) {
    let joins: Vec<_> = run
        .state
        .open
        .iter()
        .filter(|ix| run.record(**ix).status == TaskStatus::InProgress)
        .map(|ix| run.site(*ix))
        .filter(|site| run.node(*site).kind.is_join())
        .collect();
    for join in joins {
        let missing = flow::missing(run, join);
        run.state.missing.insert(join, missing);
    }
    if run.workflow.status == WorkflowStatus::Paused {
        let pending = run.state.all().filter(|(_, record)| is_pending(record));
        run.state.pending = pending.map(|(ix, _)| ix).collect();
    }
}

/// Whether what follows from a task's end is still to be drawn. One that was skipped is looked at when the flow comes to it.
pub(crate) fn is_pending(record: &TaskRecord) -> bool {
    record.status.is_terminal() && !record.executed && !record.retried && record.status != TaskStatus::Skipped
}
