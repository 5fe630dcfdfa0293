//! SET_VARIABLE: its input becomes variables of the workflow.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Behaviour, Role};
use crate::ending::Ending;
use crate::event::Refusal;
use crate::state::Ix;
use crate::turn::Turn;

pub(super) const BEHAVIOUR: Behaviour = Behaviour { begin, ..Behaviour::base(Role::System, Some("SET_VARIABLE")) };

/// Most bytes of JSON that a workflow's variables take together.
const VARIABLES_BYTES_MAX: usize = 256 * 1024;

fn begin(turn: &mut Turn<'_, '_>, ix: Ix) {
    let input = Arc::clone(&turn.run.record(ix).input);
    let ending = match set(turn, input.as_object().cloned().unwrap_or_default()) {
        Ok(()) => Ending::completed(),
        Err(refusal) => Ending::failed(format!("the workflow's variables cannot be set: {refusal}"), true),
    };
    turn.end_task(ix, ending);
}

/// Sets variables; the others stay.
///
/// # Errors
/// [`Refusal::TooLarge`]; nothing is set then.
pub(crate) fn set(turn: &mut Turn<'_, '_>, new: Map<String, Value>) -> Result<(), Refusal> {
    let mut variables = turn.run.workflow.variables.as_object().cloned().unwrap_or_default();
    variables.extend(new);
    let variables = Value::Object(variables);
    let fits = serde_json::to_vec(&variables).is_ok_and(|json| json.len() <= VARIABLES_BYTES_MAX);
    if !fits {
        return Err(Refusal::TooLarge { max: VARIABLES_BYTES_MAX });
    }
    turn.set_variables(variables);
    Ok(())
}
