//! What placement and agents do.

use conductor_model::limits::LOST_REDISPATCH_MAX;
use conductor_model::{AgentId, Outcome, TaskId, TaskStatus, TaskTimeoutPolicy, Timestamp};
use serde_json::Value;

use crate::decision::Effect;
use crate::ending::Ending;
use crate::event::{AgentOutcome, Refusal};
use crate::state::Ix;
use crate::timer;
use crate::turn::Turn;

/// Placement has chosen an agent.
pub(super) fn assigned(
    turn: &mut Turn<'_, '_>,
    task: TaskId,
    agent: AgentId,
    incarnation: String,
    alternates: Vec<AgentId>,
) -> Result<(), Refusal> {
    let ix = turn.find_open(task)?;
    turn.expect_running()?;
    let now = turn.now();
    let record = turn.run.record(ix);
    let waiting = record.status == TaskStatus::Scheduled
        && record.visible_at <= now
        && record.agent.as_ref().is_some_and(|part| part.assigned.is_none());
    if !waiting {
        return Err(Refusal::TaskStatus { task, status: record.status });
    }
    let record = turn.change(ix);
    record.worker_id = Some(agent.to_string());
    record.poll_count = record.poll_count.saturating_add(1);
    record.callback_after_seconds = 0;
    if let Some(part) = record.agent.as_mut() {
        // The order of the last times counts, and there is one entry an agent: what is given out again is so a few times.
        part.given_to.retain(|earlier| *earlier != agent);
        part.given_to.push(agent.clone());
        part.assigned = Some(agent);
        part.incarnation = Some(incarnation);
        part.alternates = alternates;
        part.dispatch = part.dispatch.saturating_add(1);
        part.assigned_at = Some(now);
    }
    turn.effect(Effect::Dispatch { task });
    turn.tell(ix, "task.assigned");
    Ok(())
}

/// The agent has started the process.
pub(super) fn started(turn: &mut Turn<'_, '_>, task: TaskId, dispatch: u32, at: Timestamp) -> Result<(), Refusal> {
    let ix = find_given(turn, task, dispatch, true)?;
    let status = turn.run.record(ix).status;
    if status != TaskStatus::Scheduled {
        return Err(Refusal::TaskStatus { task, status });
    }
    let now = turn.now();
    let record = turn.change(ix);
    record.status = TaskStatus::InProgress;
    record.started_at = Some(bounded(at, record.scheduled_at, now));
    turn.tell(ix, "task.started");
    Ok(())
}

/// The agent says how the task ended. Also taken from an agent that was thought to have lost it, as long as the task was
/// not given out again: the work is done.
pub(super) fn finished(turn: &mut Turn<'_, '_>, task: TaskId, dispatch: u32, outcome: AgentOutcome) -> Result<(), Refusal> {
    let ix = find_given(turn, task, dispatch, false)?;
    let now = turn.now();
    let record = turn.change(ix);
    if let Some(at) = outcome.started_at {
        record.started_at = Some(bounded(at, record.scheduled_at, now));
    }
    record.started_at.get_or_insert(now);
    let status = match outcome.outcome {
        Outcome::Succeeded | Outcome::NotNeeded => TaskStatus::Completed,
        Outcome::Failed | Outcome::OutOfMemory | Outcome::Lost | Outcome::Refused => TaskStatus::Failed,
        Outcome::FailedTerminally => TaskStatus::FailedWithTerminalError,
        Outcome::TimedOut => TaskStatus::TimedOut,
        Outcome::Cancelled => TaskStatus::Canceled,
    };
    let ends_workflow = status == TaskStatus::TimedOut
        && turn.run.definition(ix).is_some_and(|definition| definition.timeout_policy == TaskTimeoutPolicy::TimeOutWf);
    let ending = Ending {
        status,
        outcome: outcome.outcome,
        reason: outcome.reason,
        output: Some(Value::Object(outcome.output)),
        holder_knows: true,
        ends_workflow,
    };
    turn.end_task(ix, ending);
    Ok(())
}

/// The agent still has the task.
pub(super) fn renewed(turn: &mut Turn<'_, '_>, task: TaskId, dispatch: u32) -> Result<(), Refusal> {
    let ix = find_given(turn, task, dispatch, true)?;
    let quiet_ms = turn.run.definition(ix).map_or(0, timer::noted_ms);
    if turn.now().ms_since(turn.run.record(ix).updated_at) < quiet_ms {
        return Err(Refusal::NothingDue);
    }
    turn.change(ix);
    Ok(())
}

/// Nobody knows how far the task came.
pub(super) fn lost(
    turn: &mut Turn<'_, '_>,
    task: TaskId,
    dispatch: u32,
    reason: String,
    never_begun: bool,
) -> Result<(), Refusal> {
    let ix = find_given(turn, task, dispatch, true)?;
    let again = turn
        .run
        .record(ix)
        .agent
        .as_ref()
        .is_some_and(|part| (part.idempotent || never_begun) && part.lost_count < LOST_REDISPATCH_MAX);
    if !again {
        let ending = Ending { reason: Some(reason), holder_knows: true, ..Ending::new(TaskStatus::Failed, Outcome::Lost) };
        turn.end_task(ix, ending);
        return Ok(());
    }
    let now = turn.now();
    let record = turn.change(ix);
    record.status = TaskStatus::Scheduled;
    record.visible_at = now;
    record.started_at = None;
    record.worker_id = None;
    record.reason = Some(reason);
    if let Some(part) = record.agent.as_mut() {
        part.assigned = None;
        part.incarnation = None;
        part.assigned_at = None;
        part.alternates.clear();
        part.lost_count = part.lost_count.saturating_add(1);
    }
    turn.tell(ix, "task.lost");
    Ok(())
}

/// The task cannot ever be sent.
pub(super) fn unplaceable(turn: &mut Turn<'_, '_>, task: TaskId, reason: String) -> Result<(), Refusal> {
    let ix = turn.find_open(task)?;
    let record = turn.run.record(ix);
    if record.status != TaskStatus::Scheduled || record.agent.is_none() {
        return Err(Refusal::TaskStatus { task, status: record.status });
    }
    turn.end_task(ix, Ending::refused(reason));
    Ok(())
}

/// An open task whose current dispatch is this one, and that an agent has (`held`) or had.
fn find_given(turn: &Turn<'_, '_>, task: TaskId, dispatch: u32, held: bool) -> Result<Ix, Refusal> {
    let ix = turn.find_open(task)?;
    let record = turn.run.record(ix);
    let Some(part) = &record.agent else {
        return Err(Refusal::TaskStatus { task, status: record.status });
    };
    let current = part.dispatch == dispatch && dispatch > 0 && (!held || part.assigned.is_some());
    if current { Ok(ix) } else { Err(Refusal::StaleDispatch { task }) }
}

/// A moment of another clock, between two of ours.
fn bounded(at: Timestamp, from: Timestamp, to: Timestamp) -> Timestamp {
    at.max(from).min(to)
}
