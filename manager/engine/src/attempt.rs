//! Attempts at steps: scheduling, start delays, trying again.

use std::sync::Arc;

use conductor_model::{TaskRecord, TaskStatus};
use serde_json::Value;

use crate::ending::Ending;
use crate::flow;
use crate::frame::Site;
use crate::retry;
use crate::state::Ix;
use crate::task_type::{self, Role};
use crate::turn::Turn;

/// The flow has come to a step. What is there already stays: a retried step may finish twice, and a step may have been
/// skipped beforehand.
pub(crate) fn first(turn: &mut Turn<'_, '_>, site: Site) {
    if let Some(ix) = turn.run.state.latest.get(&site).copied() {
        let record = turn.run.record(ix);
        if record.status == TaskStatus::Skipped && !record.executed {
            turn.note(ix).executed = true;
            flow::finished(turn, site);
        }
        return;
    }
    let record = turn.new_record(site);
    let delay = turn.run.node(site).step.start_delay;
    attempt(turn, site, record, delay, 0);
}

/// Another attempt at a step, after `delay_seconds` and `jitter_ms`.
pub(crate) fn again(turn: &mut Turn<'_, '_>, ix: Ix, delay_seconds: i64, jitter_ms: i64) {
    let site = turn.run.site(ix);
    let mut record = turn.new_record(site);
    let old = turn.note(ix);
    old.retried = true;
    old.executed = true;
    record.retried_task_id = Some(old.id);
    record.attempt = old.attempt.saturating_add(1);
    record.first_scheduled_at = old.first_scheduled_at;
    record.first_started_at = old.first_started_at.or(old.started_at);
    record.reason.clone_from(&old.reason);
    attempt(turn, site, record, delay_seconds, jitter_ms);
}

/// Another attempt by the retry rules.
pub(crate) fn again_by_rules(turn: &mut Turn<'_, '_>, ix: Ix) {
    let definition = turn.run.definition(ix);
    let (delay, jitter) =
        definition.map_or((0, 0), |definition| retry::delay(definition, turn.run.record(ix).attempt, turn.jitter()));
    again(turn, ix, delay, jitter);
}

/// Inserts an attempt: its input is resolved now. Unless it is for others, it begins at once or after its delay.
fn attempt(turn: &mut Turn<'_, '_>, site: Site, mut record: TaskRecord, delay_seconds: i64, jitter_ms: i64) {
    let now = turn.now();
    let behaviour = task_type::of(turn.run.node(site).step.task_type);
    record.visible_at = now.plus_seconds(delay_seconds).plus_ms(jitter_ms);
    record.callback_after_seconds = delay_seconds;
    let waits = behaviour.role != Role::Worker && record.visible_at > now;
    if waits {
        record.due_at = Some(record.visible_at);
    }
    let fault = (behaviour.prepare)(turn, site, &mut record).err();
    if let Some((_, input)) = turn.input_override.take_if(|(overridden, _)| *overridden == site) {
        record.input = Arc::new(Value::Object(input));
    }
    let retry = record.retried_task_id.is_some();
    let ix = turn.insert(site, record);
    let fault = fault.or_else(|| turn.input_fault(ix));
    if behaviour.role != Role::Operator || waits {
        turn.tell(ix, if retry { "task.retried" } else { "task.scheduled" });
    }
    if let Some(reason) = fault {
        turn.end_task(ix, Ending::refused(reason));
    } else if behaviour.role != Role::Worker && !waits {
        (behaviour.begin)(turn, ix);
    }
}

/// Resolves the input: what most types prepare.
pub(crate) fn resolve(turn: &Turn<'_, '_>, site: Site, record: &mut TaskRecord) -> Result<(), String> {
    let input = turn.run.resolve_input(site, record.id).map_err(|error| error.to_string())?;
    record.input = Arc::new(Value::Object(input));
    Ok(())
}
