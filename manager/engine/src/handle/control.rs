//! What people ask of a workflow.

use std::sync::Arc;

use conductor_model::{Outcome, TaskStatus, WorkflowStatus};
use serde_json::{Map, Value};

use crate::child;
use crate::event::Refusal;
use crate::frame::Site;
use crate::state::Ix;
use crate::task_type::{self, Role, is_for_workers, set_variable};
use crate::turn::{Turn, Work};

/// Schedules nothing new from now on. What is out goes on; what waits for a poll or a place waits, without timeout.
pub(super) fn pause(turn: &mut Turn<'_, '_>) -> Result<(), Refusal> {
    turn.expect_running()?;
    turn.run.workflow.status = WorkflowStatus::Paused;
    for ix in waiting_with_timeout(turn) {
        turn.change(ix);
    }
    for ix in waiting_to_begin(turn) {
        turn.note(ix);
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
    for ix in waiting_to_begin(turn) {
        turn.note(ix);
    }
    turn.tell_workflow("workflow.resumed");
    for ix in undecided(turn) {
        turn.perform(ix);
    }
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

/// Ends the workflow, and has its failure workflow put things in order.
pub(super) fn terminate_as_failed(turn: &mut Turn<'_, '_>, reason: Option<String>) -> Result<(), Refusal> {
    terminate(turn, reason)?;
    child::start_failure_workflow(turn, None);
    Ok(())
}

/// It is the workflow's turn: its first step is scheduled.
pub(super) fn admitted(turn: &mut Turn<'_, '_>) -> Result<(), Refusal> {
    turn.expect_running()?;
    if !turn.run.workflow.rate_limited {
        return Err(Refusal::NothingDue);
    }
    turn.run.workflow.rate_limited = false;
    let timeout = turn.run.plan().snapshot().workflow.timeout_seconds;
    turn.run.workflow.timer_at = (timeout > 0).then(|| turn.now().plus_seconds(timeout));
    turn.tell_workflow("workflow.admitted");
    turn.push(Work::Schedule(Site::root(turn.run.plan().root().nodes[0])));
    Ok(())
}

/// Does without a step: when the flow comes to it, it goes on behind it.
pub(super) fn skip(
    turn: &mut Turn<'_, '_>,
    reference: String,
    input: Map<String, Value>,
    output: Map<String, Value>,
) -> Result<(), Refusal> {
    turn.expect_running()?;
    let Some(site) = turn.run.frames.resolve(&reference) else { return Err(Refusal::UnknownReference { reference }) };
    if task_type::of(turn.run.node(site).step.task_type).role == Role::Operator {
        return Err(Refusal::NotSkippable { reference });
    }
    if turn.run.state.latest.contains_key(&site) {
        return Err(Refusal::AlreadyScheduled { reference });
    }
    let now = turn.now();
    let mut record = turn.new_record(site);
    record.status = TaskStatus::Skipped;
    record.outcome = Some(Outcome::NotNeeded);
    record.input = Arc::new(Value::Object(input));
    record.output = Arc::new(Value::Object(output));
    record.ended_at = Some(now);
    let ix = turn.insert(site, record);
    turn.tell(ix, "task.skipped");
    Ok(())
}

/// Lets workers have at once what asked to be left alone.
pub(super) fn reset_callbacks(turn: &mut Turn<'_, '_>) -> Result<(), Refusal> {
    turn.expect_not_over()?;
    let now = turn.now();
    let called_back = |ix: &Ix| {
        let record = turn.run.record(*ix);
        is_for_workers(record)
            && record.status == TaskStatus::Scheduled
            && record.callback_after_seconds > 0
            && record.visible_at > now
    };
    let found: Vec<Ix> = turn.run.state.open.iter().copied().filter(called_back).collect();
    for ix in found {
        let record = turn.change(ix);
        record.callback_after_seconds = 0;
        record.visible_at = now;
    }
    Ok(())
}

/// Sets variables; the others stay. With `append` a list goes behind the list that is there.
pub(super) fn set_variables(turn: &mut Turn<'_, '_>, mut variables: Map<String, Value>, append: bool) -> Result<(), Refusal> {
    turn.expect_not_over()?;
    if append {
        for (name, new) in &mut variables {
            if let (Value::Array(new), Some(Value::Array(old))) = (new, turn.run.workflow.variables.get(name)) {
                new.splice(0..0, old.iter().cloned());
            }
        }
    }
    set_variable::set(turn, variables)
}

/// The tasks that the engine begins by itself.
fn waiting_to_begin(turn: &Turn<'_, '_>) -> Vec<Ix> {
    let waits = |ix: &Ix| turn.run.record(*ix).due_at.is_some();
    turn.run.state.open.iter().copied().filter(waits).collect()
}

/// The tasks that decide where the flow goes and whose answer may have come while the workflow was paused.
fn undecided(turn: &Turn<'_, '_>) -> Vec<Ix> {
    let run = &turn.run;
    let waits = |ix: &Ix| {
        let operator = task_type::of(run.node(run.site(*ix)).step.task_type).role == Role::Operator;
        operator && run.record(*ix).performing
    };
    run.state.open.iter().copied().filter(waits).collect()
}

/// The tasks that wait for a poll or a place, and not for ever.
fn waiting_with_timeout(turn: &Turn<'_, '_>) -> Vec<Ix> {
    let run = &turn.run;
    let waits = |ix: &Ix| {
        let record = run.record(*ix);
        let definition = run.definition(*ix);
        is_for_workers(record)
            && record.status == TaskStatus::Scheduled
            && record.agent.as_ref().is_none_or(|part| part.assigned.is_none())
            && definition.and_then(|definition| definition.poll_timeout_seconds).is_some_and(|seconds| seconds > 0)
    };
    run.state.open.iter().copied().filter(waits).collect()
}
