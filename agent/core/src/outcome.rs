//! How the tasks that the agent has come to an end.

use std::sync::Arc;

use conductor_model::Outcome;
use conductor_wire::amqp::{TaskEnvelope, TaskEvent, TaskEventKind, TaskFinished};
use serde_json::Map;

use crate::ledger::{Held, State};
use crate::record::{Record, TaskKey, TaskResult};
use crate::step::{Effect, Moment, Step};

/// A result of an earlier dispatch answers for a later one, unless it only says that nothing came of it here.
pub(crate) fn is_worth_repeating(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Succeeded
        | Outcome::NotNeeded
        | Outcome::Failed
        | Outcome::FailedTerminally
        | Outcome::TimedOut
        | Outcome::OutOfMemory => true,
        Outcome::Cancelled | Outcome::Lost | Outcome::Refused => false,
    }
}

pub(crate) fn finish(held: &mut Held, result: Arc<TaskResult>, step: &mut Step) {
    held.state = State::Done(result.clone());
    step.journal.push(Record::Done { key: TaskKey::of(&held.envelope), result: result.clone() });
    step.effects.push(Effect::Deliver { envelope: held.envelope.clone(), result });
}

/// The end of a task that was never begun here, or of which nobody knows how far it came.
pub(crate) fn ended_unstarted(outcome: Outcome, reason: String, now: Moment) -> TaskFinished {
    TaskFinished {
        outcome,
        output: Map::new(),
        output_by_reference: false,
        reason: Some(reason),
        exit_code: None,
        started_at: None,
        ended_at: now.here,
        log_lines: 0,
    }
}

pub(crate) fn final_event(envelope: &TaskEnvelope, finished: TaskFinished) -> TaskEvent {
    TaskEvent {
        task_id: envelope.task_id,
        dispatch: envelope.dispatch,
        workflow_id: envelope.workflow_id,
        event: TaskEventKind::Finished(finished),
    }
}
