//! What the manager did itself, and what became of other workflows.

use conductor_model::{Outcome, TaskId, TaskStatus, WorkflowId, WorkflowStatus};
use serde_json::{Map, Value, json};

use crate::child;
use crate::ending::Ending;
use crate::event::Refusal;
use crate::state::Ix;
use crate::task_type::{self, Role, awaited_workflow};
use crate::turn::Turn;
use crate::work::PerformFailure;

/// The manager's own work came to this. What decides where the flow goes waits for a paused workflow to go on: then it is
/// asked again.
pub(super) fn performed(
    turn: &mut Turn<'_, '_>,
    task: TaskId,
    number: u32,
    result: Result<Value, PerformFailure>,
) -> Result<(), Refusal> {
    let ix = turn.find_open(task)?;
    let record = turn.run.record(ix);
    if !record.performing || record.turn != number {
        return Err(Refusal::StaleTurn { task });
    }
    let behaviour = task_type::of(turn.run.node(turn.run.site(ix)).step.task_type);
    if behaviour.role == Role::Operator {
        turn.expect_running()?;
    }
    turn.change(ix).performing = false;
    (behaviour.performed)(turn, ix, result);
    Ok(())
}

/// A task that ordered another workflow and is not over.
fn find_orderer(turn: &Turn<'_, '_>, task: TaskId) -> Result<Ix, Refusal> {
    let ix = turn.find_open(task)?;
    let record = turn.run.record(ix);
    let orders = task_type::of(record.task_type).child_started.is_some();
    if orders && record.status == TaskStatus::InProgress { Ok(ix) } else { Err(Refusal::StaleTurn { task }) }
}

/// The workflow that a task ordered was started.
pub(super) fn child_started(turn: &mut Turn<'_, '_>, task: TaskId, workflow: WorkflowId) -> Result<(), Refusal> {
    let ix = find_orderer(turn, task)?;
    turn.change(ix).sub_workflow_id = Some(workflow);
    if let Some(started) = task_type::of(turn.run.record(ix).task_type).child_started {
        started(turn, ix, workflow);
    }
    Ok(())
}

/// It cannot be started, or not be retried.
pub(super) fn child_refused(turn: &mut Turn<'_, '_>, task: TaskId, reason: String, terminal: bool) -> Result<(), Refusal> {
    let ix = find_orderer(turn, task)?;
    turn.end_task(ix, Ending { holder_knows: true, ..Ending::failed(reason, terminal) });
    Ok(())
}

/// The workflow that a task waits for is over.
pub(super) fn child_ended(
    turn: &mut Turn<'_, '_>,
    task: TaskId,
    workflow: WorkflowId,
    status: WorkflowStatus,
    mut output: Map<String, Value>,
    reason: Option<String>,
) -> Result<(), Refusal> {
    let ix = find_orderer(turn, task)?;
    if awaited_workflow(turn.run.record(ix)) != Some(workflow) {
        return Err(Refusal::StaleTurn { task });
    }
    output.insert("subWorkflowId".to_owned(), json!(workflow));
    let status = child::task_status(status);
    let outcome = match status {
        TaskStatus::Completed => Outcome::Succeeded,
        TaskStatus::Canceled => Outcome::Cancelled,
        TaskStatus::TimedOut => Outcome::TimedOut,
        _ => Outcome::Failed,
    };
    let reason = reason.filter(|_| status != TaskStatus::Completed);
    let output = Some(Value::Object(output));
    turn.end_task(ix, Ending { output, reason, holder_knows: true, ..Ending::new(status, outcome) });
    Ok(())
}
