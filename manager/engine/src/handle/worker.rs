//! What polling workers do.

use conductor_model::{Outcome, TaskId, TaskStatus};
use serde_json::Value;

use crate::ending::Ending;
use crate::event::{Refusal, WorkerStatus, WorkerUpdate};
use crate::state::Ix;
use crate::task_type::{self, Role, is_for_workers};
use crate::turn::Turn;

/// A worker takes the task.
pub(super) fn polled(turn: &mut Turn<'_, '_>, task: TaskId, worker: String) -> Result<(), Refusal> {
    let ix = turn.find_open(task)?;
    turn.expect_running()?;
    let now = turn.now();
    let record = turn.run.record(ix);
    let free =
        is_for_workers(record) && record.status == TaskStatus::Scheduled && record.agent.is_none() && record.visible_at <= now;
    if !free {
        return Err(Refusal::TaskStatus { task, status: record.status });
    }
    let record = turn.change(ix);
    record.status = TaskStatus::InProgress;
    record.worker_id = Some(worker);
    record.poll_count = record.poll_count.saturating_add(1);
    record.started_at.get_or_insert(now);
    record.callback_after_seconds = 0;
    turn.tell(ix, "task.started");
    Ok(())
}

/// A worker reports, or somebody reports in its place: also possible before the task was polled.
pub(super) fn updated(turn: &mut Turn<'_, '_>, update: WorkerUpdate) -> Result<(), Refusal> {
    let ix = turn.find_open(update.task)?;
    let record = turn.run.record(ix);
    let role = task_type::of(turn.run.node(turn.run.site(ix)).step.task_type).role;
    if role == Role::Operator {
        return Err(Refusal::TaskStatus { task: update.task, status: record.status });
    }
    if update.extend_lease {
        turn.change(ix);
        return Ok(());
    }
    let status = update.status;
    apply(turn, ix, update);
    let ending = match status {
        WorkerStatus::InProgress => {
            in_progress(turn, ix, role);
            return Ok(());
        }
        WorkerStatus::Completed => Ending::new(TaskStatus::Completed, Outcome::Succeeded),
        WorkerStatus::Failed => Ending::new(TaskStatus::Failed, Outcome::Failed),
        WorkerStatus::FailedWithTerminalError => Ending::new(TaskStatus::FailedWithTerminalError, Outcome::FailedTerminally),
    };
    turn.end_task(ix, ending);
    Ok(())
}

/// Takes over what the update says beside the status.
fn apply(turn: &mut Turn<'_, '_>, ix: Ix, update: WorkerUpdate) {
    let now = turn.now();
    let output = if update.merge_output {
        let mut merged = turn.run.record(ix).output.as_object().cloned().unwrap_or_default();
        merged.extend(update.output);
        merged
    } else {
        update.output
    };
    turn.set_output(ix, Value::Object(output));
    let record = turn.change(ix);
    record.reason = update.reason;
    record.callback_after_seconds = update.callback_after_seconds.max(0);
    record.started_at.get_or_insert(now);
    if update.worker_id.is_some() {
        record.worker_id = update.worker_id;
    }
}

/// Not done yet: back to the queue. What an agent, the manager or a person has stays there.
fn in_progress(turn: &mut Turn<'_, '_>, ix: Ix, role: Role) {
    let now = turn.now();
    let record = turn.change(ix);
    if record.agent.is_none() && role == Role::Worker {
        record.status = TaskStatus::Scheduled;
        record.visible_at = now.plus_seconds(record.callback_after_seconds);
    }
    turn.tell(ix, "task.progress");
}
