//! WAIT: for a time, until a moment, or for an update from outside.

use std::sync::Arc;

use conductor_model::WorkflowTask;
use serde_json::Value;

use super::{Behaviour, Role};
use crate::ending::Ending;
use crate::expression::as_text;
use crate::moment::{self, Moment};
use crate::plan::{Compiler, Kind, NodeId};
use crate::state::Ix;
use crate::turn::Turn;

pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    compile,
    begin,
    due: |turn, ix| turn.end_task(ix, Ending::completed()),
    completes_outside: true,
    asks: |task| task.due_at.is_none(),
    ..Behaviour::base(Role::System, Some("WAIT"))
};

const BOTH: &str = "has both `duration` and `until`; give one of them";

fn compile(compiler: &mut Compiler, node: NodeId, step: &Arc<WorkflowTask>, _: Option<&Arc<WorkflowTask>>, _: usize) -> Kind {
    let path = format!("{}.inputParameters", compiler.node_path(node));
    let literal = |key: &str| step.input_parameters.get(key).and_then(Value::as_str).filter(|text| !text.contains("${"));
    if given(step.input_parameters.get("duration")).is_some() && given(step.input_parameters.get("until")).is_some() {
        compiler.fault(path.clone(), BOTH, None);
    }
    if let Some(Err(message)) = literal("duration").filter(|text| !text.is_empty()).map(moment::duration_ms) {
        compiler.fault(format!("{path}.duration"), message, literal("duration").map(str::to_owned));
    }
    if let Some(Err(message)) = literal("until").filter(|text| !text.is_empty()).map(moment::until) {
        compiler.fault(format!("{path}.until"), message, literal("until").map(str::to_owned));
    }
    Kind::Leaf
}

fn given(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null() && value.as_str() != Some(""))
}

fn begin(turn: &mut Turn<'_, '_>, ix: Ix) {
    let input = Arc::clone(&turn.run.record(ix).input);
    let due = match (given(input.get("duration")), given(input.get("until"))) {
        (Some(_), Some(_)) => Err(format!("it {BOTH}")),
        (Some(duration), None) => duration_of(duration).map(|ms| Some(turn.now().plus_ms(ms))),
        (None, Some(until)) => moment::until(&as_text(until)).and_then(|until| match until {
            Moment::Utc(at) => Ok(Some(at)),
            Moment::In { zone, local } => turn
                .moment_in_zone(&zone, local)
                .map(Some)
                .ok_or_else(|| format!("`until` names the time zone {zone:?}, which is not known")),
        }),
        (None, None) => Ok(None),
    };
    match due {
        Ok(due) => {
            turn.wait_for_update(ix);
            turn.change(ix).due_at = due;
        }
        Err(reason) => turn.end_task(ix, Ending::failed(reason, true)),
    }
}

/// A bare number is seconds.
fn duration_of(value: &Value) -> Result<i64, String> {
    match value.as_i64() {
        Some(seconds) if seconds >= 0 => Ok(seconds.saturating_mul(1000)),
        _ => moment::duration_ms(&as_text(value)),
    }
}
