//! JSON_JQ_TRANSFORM: a jq program over its own input.

use std::sync::Arc;

use conductor_model::WorkflowTask;
use serde_json::{Value, json};

use super::{Behaviour, Role, StepScript};
use crate::ending::Ending;
use crate::plan::{Compiler, Kind, NodeId};
use crate::run::Run;
use crate::state::Ix;
use crate::turn::Turn;
use crate::work::{PerformFailure, ScriptLanguage, ScriptStyle, ServerWork, WorkKind};

pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    compile,
    begin,
    work,
    performed,
    hands_over: |_, _| true,
    work_kind: Some(WorkKind::Script),
    script,
    ..Behaviour::base(Role::System, Some("JSON_JQ_TRANSFORM"))
};

fn script(step: &WorkflowTask) -> Option<StepScript<'_>> {
    let source = step.input_parameters.get(KEY).and_then(Value::as_str)?;
    let place = "inputParameters.queryExpression";
    Some(StepScript { language: ScriptLanguage::Jq, ..StepScript::javascript(place, source) })
}

const KEY: &str = "queryExpression";

fn compile(compiler: &mut Compiler, node: NodeId, step: &Arc<WorkflowTask>, _: Option<&Arc<WorkflowTask>>, _: usize) -> Kind {
    if compiler.parameters(node, step).get(KEY).and_then(Value::as_str).is_none_or(str::is_empty) {
        let path = format!("{}.inputParameters.{KEY}", compiler.node_path(node));
        compiler.fault(path, "must be a jq program", None);
    }
    Kind::Leaf
}

fn begin(turn: &mut Turn<'_, '_>, ix: Ix) {
    if turn.run.record(ix).input.get(KEY).is_some_and(Value::is_string) {
        turn.perform(ix);
    } else {
        turn.end_task(ix, Ending::failed(format!("its input has no text `{KEY}`"), true));
    }
}

fn work(run: &Run, ix: Ix) -> Option<ServerWork> {
    let input = &run.record(ix).input;
    Some(ServerWork::Script {
        language: ScriptLanguage::Jq,
        source: Arc::from(input.get(KEY)?.as_str()?),
        style: ScriptStyle::Expression,
        input: Arc::clone(input),
    })
}

fn performed(turn: &mut Turn<'_, '_>, ix: Ix, result: Result<Value, PerformFailure>) {
    let ending = match result {
        Ok(Value::Array(results)) => {
            Ending::with_output(json!({"result": results.first().unwrap_or(&Value::Null), "resultList": results}))
        }
        Ok(value) => Ending::with_output(json!({"result": value, "resultList": [value]})),
        Err(failure) => {
            Ending { output: Some(json!({"error": failure.message})), ..Ending::failed(failure.message, failure.terminal) }
        }
    };
    turn.end_task(ix, ending);
}
