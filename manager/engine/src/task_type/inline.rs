//! INLINE: evaluates a script over its own input.

use std::sync::Arc;

use conductor_model::WorkflowTask;
use serde_json::{Value, json};

use super::script::{self, Evaluator};
use super::{Behaviour, Role, StepScript};
use crate::ending::Ending;
use crate::plan::{Compiler, Kind, NodeId};
use crate::run::Run;
use crate::state::Ix;
use crate::turn::Turn;
use crate::work::{PerformFailure, ServerWork, WorkKind};

pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    compile,
    begin,
    work,
    performed,
    hands_over,
    work_kind: Some(WorkKind::Script),
    script: own_script,
    ..Behaviour::base(Role::System, Some("INLINE"))
};

/// Its script, unless it names a value.
fn own_script(step: &WorkflowTask) -> Option<StepScript<'_>> {
    let input = |key: &str| step.input_parameters.get(key).and_then(Value::as_str);
    let is_script = input("evaluatorType").is_none_or(|name| script::evaluator(name) == Some(Evaluator::JavaScript));
    is_script.then(|| input("expression")).flatten().map(|source| StepScript::javascript("inputParameters.expression", source))
}

/// A script gets its input; a value that is only named goes nowhere.
fn hands_over(step: &WorkflowTask, _: &str) -> bool {
    let name = step.input_parameters.get("evaluatorType").and_then(Value::as_str);
    name.and_then(script::evaluator) != Some(Evaluator::ValueParam)
}

fn compile(compiler: &mut Compiler, node: NodeId, step: &Arc<WorkflowTask>, _: Option<&Arc<WorkflowTask>>, _: usize) -> Kind {
    let path = format!("{}.inputParameters", compiler.node_path(node));
    let parameters = compiler.parameters(node, step);
    if let Some(name) = parameters.get("evaluatorType").and_then(Value::as_str)
        && !name.contains("${")
        && script::evaluator(name).is_none()
    {
        compiler.fault(format!("{path}.evaluatorType"), script::unknown_evaluator(name), Some(name.to_owned()));
    }
    if parameters.get("expression").and_then(Value::as_str).is_none_or(str::is_empty) {
        compiler.fault(format!("{path}.expression"), "must be the text to evaluate", None);
    }
    Kind::Leaf
}

fn begin(turn: &mut Turn<'_, '_>, ix: Ix) {
    let input = Arc::clone(&turn.run.record(ix).input);
    let name = input.get("evaluatorType").and_then(Value::as_str).unwrap_or("javascript");
    let expression = input.get("expression").and_then(Value::as_str);
    match (script::evaluator(name), expression) {
        (Some(Evaluator::JavaScript), Some(_)) => turn.perform(ix),
        (Some(Evaluator::ValueParam), Some(key)) => {
            turn.start(ix);
            turn.end_task(ix, Ending::with_output(json!({"result": input.get(key)})));
        }
        (_, None) => turn.end_task(ix, failed("its input has no text `expression`".to_owned())),
        (None, _) => turn.end_task(ix, failed(script::unknown_evaluator(name))),
    }
}

fn failed(reason: String) -> Ending {
    Ending { output: Some(json!({"error": reason})), ..Ending::failed(reason, true) }
}

fn work(run: &Run, ix: Ix) -> Option<ServerWork> {
    let input = &run.record(ix).input;
    Some(script::javascript(input.get("expression")?.as_str()?, Arc::clone(input)))
}

fn performed(turn: &mut Turn<'_, '_>, ix: Ix, result: Result<Value, PerformFailure>) {
    let ending = match result {
        Ok(value) => Ending::with_output(json!({"result": value})),
        Err(failure) => failed(failure.message),
    };
    turn.end_task(ix, ending);
}
