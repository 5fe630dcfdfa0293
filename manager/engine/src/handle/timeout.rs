//! Timers that went off.

use conductor_model::{TaskId, TaskTimeoutPolicy, WorkflowStatus, WorkflowTimeoutPolicy};

use crate::event::Refusal;
use crate::timer::{self, Timer};
use crate::turn::{Ending, Turn};

/// Does what is due for a task now.
pub(super) fn task(turn: &mut Turn<'_, '_>, task: TaskId) -> Result<(), Refusal> {
    let ix = turn.find_open(task)?;
    let (now, paused) = (turn.now(), turn.run.workflow.status == WorkflowStatus::Paused);
    let record = turn.run.record(ix);
    let definition = turn.run.plan.node(turn.run.node_of(ix)).definition.as_deref();
    let due: Vec<Timer> = definition
        .map(|definition| timer::timers(record, definition, paused).filter(|timer| timer.due <= now).collect())
        .unwrap_or_default();
    if due.is_empty() {
        return Err(Refusal::NothingDue);
    }
    for timer in due {
        let reason = timer.reason(turn.run.record(ix));
        match timer.policy {
            TaskTimeoutPolicy::AlertOnly => {
                let heard_at = turn.run.record(ix).updated_at;
                let record = turn.change(ix);
                record.alerted_at = Some(now);
                // An alert is no word from the worker.
                record.updated_at = heard_at;
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
        WorkflowTimeoutPolicy::TimeOutWf => turn.end_workflow(WorkflowStatus::TimedOut, Some(message)),
        WorkflowTimeoutPolicy::AlertOnly => {
            turn.run.workflow.timer_at = None;
            turn.alert(None, message);
        }
    }
    Ok(())
}
