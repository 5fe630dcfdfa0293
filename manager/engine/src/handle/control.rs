//! What people ask of a workflow.

use conductor_model::{TaskStatus, WorkflowStatus};

use crate::event::Refusal;
use crate::run::Ix;
use crate::turn::{Turn, Work};

/// Schedules nothing new from now on. What is out goes on; what waits for a poll or a place waits, without timeout.
pub(super) fn pause(turn: &mut Turn<'_, '_>) -> Result<(), Refusal> {
    turn.expect_running()?;
    turn.run.workflow.status = WorkflowStatus::Paused;
    for ix in waiting_with_timeout(turn) {
        turn.change(ix);
    }
    turn.tell_workflow("workflow.paused");
    Ok(())
}

/// Goes on: draws what follows from the tasks that ended meanwhile. Poll timeouts begin anew.
pub(super) fn resume(turn: &mut Turn<'_, '_>) -> Result<(), Refusal> {
    if turn.run.workflow.status != WorkflowStatus::Paused {
        return Err(turn.workflow_refusal());
    }
    turn.run.workflow.status = WorkflowStatus::Running;
    let now = turn.now();
    for ix in waiting_with_timeout(turn) {
        let record = turn.change(ix);
        record.visible_at = record.visible_at.max(now);
    }
    turn.tell_workflow("workflow.resumed");
    for ix in std::mem::take(&mut turn.run.state.pending) {
        turn.push(Work::Ended(ix));
    }
    Ok(())
}

/// Ends the workflow.
pub(super) fn terminate(turn: &mut Turn<'_, '_>, reason: Option<String>) -> Result<(), Refusal> {
    turn.expect_not_over()?;
    turn.end_workflow(WorkflowStatus::Terminated, reason);
    Ok(())
}

/// The tasks that wait for a poll or a place, and not for ever.
fn waiting_with_timeout(turn: &Turn<'_, '_>) -> Vec<Ix> {
    let run = &turn.run;
    let waits = |ix: &Ix| {
        let record = run.record(*ix);
        let definition = run.plan.node(run.node_of(*ix)).definition.as_ref();
        record.status == TaskStatus::Scheduled
            && record.agent.as_ref().is_none_or(|part| part.assigned.is_none())
            && definition.and_then(|definition| definition.poll_timeout_seconds).is_some_and(|seconds| seconds > 0)
    };
    run.state.open.iter().copied().filter(waits).collect()
}
