//! Timers that went off.

use conductor_model::{TaskId, TaskStatus, TaskTimeoutPolicy, WorkflowStatus, WorkflowTimeoutPolicy};

use crate::child;
use crate::ending::Ending;
use crate::event::Refusal;
use crate::state::Ix;
use crate::task_type;
use crate::timer::{self, Timer};
use crate::turn::Turn;

/// Does what is due for a task now.
pub(super) fn task(turn: &mut Turn<'_, '_>, task: TaskId) -> Result<(), Refusal> {
    let ix = turn.find_open(task)?;
    let (now, paused) = (turn.now(), turn.run.workflow.status == WorkflowStatus::Paused);
    let record = turn.run.record(ix);
    if timer::wakes_at(record, paused).is_some_and(|due| due <= now) {
        wake(turn, ix);
        return Ok(());
    }
    let due: Vec<Timer> = turn
        .run
        .definition(ix)
        .map(|definition| timer::timers(record, definition, paused).filter(|timer| timer.due <= now).collect())
        .unwrap_or_default();
    if due.is_empty() {
        return Err(Refusal::NothingDue);
    }
    for timer in due {
        let reason = timer.reason(turn.run.record(ix));
        match timer.policy {
            TaskTimeoutPolicy::AlertOnly => {
                // An alert is no word from the worker.
                turn.note(ix).alerted_at = Some(now);
                turn.alert(Some(ix), reason);
            }
            TaskTimeoutPolicy::Retry => {
                turn.end_task(ix, Ending::timed_out(reason, false));
                break;
            }
            TaskTimeoutPolicy::TimeOutWf => {
                turn.end_task(ix, Ending::timed_out(reason, true));
                break;
            }
        }
    }
    Ok(())
}

/// The start delay is over, or what it waited for has come.
fn wake(turn: &mut Turn<'_, '_>, ix: Ix) {
    let behaviour = task_type::of(turn.run.node(turn.run.site(ix)).step.task_type);
    let begins = turn.run.record(ix).status == TaskStatus::Scheduled;
    turn.change(ix).due_at = None;
    if begins { (behaviour.begin)(turn, ix) } else { (behaviour.due)(turn, ix) }
}

/// Does what is due for the workflow now.
pub(super) fn workflow(turn: &mut Turn<'_, '_>) -> Result<(), Refusal> {
    turn.expect_not_over()?;
    let now = turn.now();
    if turn.run.workflow.timer_at.is_none_or(|due| due > now) {
        return Err(Refusal::NothingDue);
    }
    let definition = &turn.run.plan.snapshot().workflow;
    let message = format!("workflow timed out after {} seconds", definition.timeout_seconds);
    match definition.timeout_policy {
        WorkflowTimeoutPolicy::TimeOutWf => {
            turn.end_workflow(WorkflowStatus::TimedOut, Some(message));
            child::start_failure_workflow(turn, None);
        }
        WorkflowTimeoutPolicy::AlertOnly => {
            turn.run.workflow.timer_at = None;
            turn.alert(None, message);
        }
    }
    Ok(())
}
