//! What follows from what: the flow of a workflow through its steps.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor_model::{TaskRecord, TaskStatus, Timestamp, WorkflowStatus};
use serde_json::{Map, Value};

use crate::document::Scope;
use crate::expression::{Budget, TooLarge};
use crate::plan::{BlockId, Kind, Next, NodeId};
use crate::retry;
use crate::run::{Ix, Run};
use crate::task_type::{self, join, simple, switch};
use crate::turn::{Turn, Work};

/// Largest output of a join or a workflow in bytes of JSON: both bring the outputs of many tasks together.
pub(crate) const GATHERED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Draws everything that follows from the changes made so far, and ends the workflow when nothing is left.
pub(crate) fn follow_up(turn: &mut Turn<'_, '_>) {
    while let Some(work) = turn.next_work() {
        match work {
            Work::Schedule(node) => {
                let task_type = turn.run.plan.node(node).step.task_type;
                (task_type::of(task_type).schedule)(turn, node);
            }
            Work::Ended(ix) => ended(turn, ix),
            Work::Finished(node) => finished(turn, node),
        }
    }
    let run = &turn.run;
    if run.workflow.status == WorkflowStatus::Running && run.state.open.is_empty() {
        if run.state.tolerated == 0 {
            turn.end_workflow(WorkflowStatus::Completed, None);
        } else {
            let failed = run.workflow.failed_references.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            turn.end_workflow(
                WorkflowStatus::Failed,
                Some(format!("steps failed that the workflow went on without: {failed}")),
            );
        }
    }
}

/// A task is over: another attempt, the next step, or the end of the workflow.
fn ended(turn: &mut Turn<'_, '_>, ix: Ix) {
    if !turn.run.record(ix).status.is_successful() {
        if retry_allowed(turn.run, ix, turn.now()) {
            return try_again(turn, ix);
        }
        // A workflow that was paused may have used up the budget for the attempt meanwhile.
        turn.give_way_to_optional(ix);
    }
    let node = turn.run.node_of(ix);
    let record = turn.run.record(ix);
    if record.status.is_successful() {
        turn.push(Work::Finished(node));
    } else if turn.run.plan.node(node).step.permissive {
        turn.run.state.tolerated += 1;
        turn.push(Work::Finished(node));
    } else {
        fail(turn, ix);
    }
}

/// Whether a failed task is tried again.
pub(crate) fn retry_allowed(run: &Run, ix: Ix, now: Timestamp) -> bool {
    let node = run.plan.node(run.node_of(ix));
    retry::allowed(run.record(ix), &node.step, node.definition.as_deref(), now)
}

/// Ends the workflow because of a task.
pub(crate) fn fail(turn: &mut Turn<'_, '_>, ix: Ix) {
    let record = turn.run.record(ix);
    let status = match record.status {
        TaskStatus::Canceled => WorkflowStatus::Terminated,
        TaskStatus::TimedOut => WorkflowStatus::TimedOut,
        TaskStatus::Scheduled
        | TaskStatus::InProgress
        | TaskStatus::Completed
        | TaskStatus::CompletedWithErrors
        | TaskStatus::Failed
        | TaskStatus::FailedWithTerminalError
        | TaskStatus::Skipped => WorkflowStatus::Failed,
    };
    let reason = record.reason.as_deref().unwrap_or("no reason was given");
    let reason = format!("Task {} failed with status: {status} and reason: '{reason}'", record.id);
    turn.end_workflow(status, Some(reason));
}

/// Makes another attempt at a step.
fn try_again(turn: &mut Turn<'_, '_>, ix: Ix) {
    let node = turn.run.node_of(ix);
    let mut record = turn.new_record(node);
    let plan = Arc::clone(&turn.run.plan);
    let (delay, jitter) = plan.node(node).definition.as_ref().map_or((0, 0), |definition| {
        let attempt = turn.run.record(ix).attempt;
        (retry::delay_seconds(definition, attempt), retry::jitter_ms(definition, turn.jitter()))
    });
    let ended_at = turn.run.record(ix).updated_at;
    let old = turn.change(ix);
    // Being followed by another attempt is no word from its worker.
    old.updated_at = ended_at;
    old.retried = true;
    record.retried_task_id = Some(old.id);
    record.attempt = old.attempt.saturating_add(1);
    record.first_scheduled_at = old.first_scheduled_at;
    record.reason.clone_from(&old.reason);
    record.iteration = old.iteration;
    simple::schedule_attempt(turn, node, record, delay, jitter);
}

/// A step is finished: joins are told, and the flow goes on behind it.
fn finished(turn: &mut Turn<'_, '_>, node: NodeId) {
    settle(turn, node);
    match turn.run.plan.next(node) {
        Next::Step(next) => turn.push(Work::Schedule(next)),
        Next::EndOfCase(switch) => turn.push(Work::Finished(switch)),
        Next::End => {}
    }
}

/// Counts a step off at the joins that wait for it.
pub(crate) fn settle(turn: &mut Turn<'_, '_>, node: NodeId) {
    let plan = Arc::clone(&turn.run.plan);
    let watchers = &plan.node(node).watchers;
    if watchers.is_empty() || !turn.run.state.settled.insert(node) {
        return;
    }
    for join in watchers {
        // A join that has not been scheduled counts when it is.
        if let Some(missing) = turn.run.state.missing.get_mut(join) {
            *missing = missing.saturating_sub(1);
            if *missing == 0 {
                join::complete(turn, *join);
            }
        }
    }
}

/// The domain of workers that a task is for: of the type's entry, else of `*`. Of several the last, which is the one that
/// is always taken where no worker of the others is known. `NO_DOMAIN` = none.
pub(crate) fn domain(task_to_domain: &BTreeMap<String, String>, definition_name: &str) -> Option<String> {
    let domains = task_to_domain.get(definition_name).or_else(|| task_to_domain.get("*"))?;
    let domain = domains.rsplit(',').map(str::trim).find(|domain| !domain.is_empty())?;
    (domain != "NO_DOMAIN").then(|| domain.to_owned())
}

/// The workflow's output: its parameters resolved, else the output of its last task.
///
/// # Errors
/// When it becomes too large.
pub(crate) fn output(run: &Run) -> Result<Value, TooLarge> {
    if let Some(template) = &run.plan.output {
        let scope = Scope { run, own_id: None, own_input: None };
        return template.resolve(&scope, &mut Budget::new(GATHERED_BYTES_MAX));
    }
    let last = last_of(run, BlockId(0)).or_else(|| run.state.tasks.last().map(|task| &task.record));
    Ok(last.map_or_else(|| Value::Object(Map::new()), |record| Value::clone(&record.output)))
}

/// The last task of a block, if the flow has come so far: that of the case taken where the last step is a switch.
fn last_of(run: &Run, block: BlockId) -> Option<&TaskRecord> {
    let node = *run.plan.block(block).nodes.last()?;
    let record = run.latest_of(node)?;
    match &run.plan.node(node).kind {
        kind @ Kind::Switch { .. } => match switch::taken(kind, record) {
            Some(taken) => last_of(run, taken),
            None => Some(record),
        },
        Kind::Simple | Kind::Fork { .. } | Kind::Join { .. } => Some(record),
    }
}
