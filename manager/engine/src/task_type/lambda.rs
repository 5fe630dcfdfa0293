//! LAMBDA: the older INLINE. Its script is the body of a function.

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
    ..Behaviour::base(Role::System, Some("LAMBDA"))
};

fn script(step: &WorkflowTask) -> Option<StepScript<'_>> {
    let given = step.input_parameters.get("scriptExpression").and_then(Value::as_str);
    let (place, source) = match given {
        Some(source) => ("inputParameters.scriptExpression", source),
        None => ("scriptExpression", step.script_expression.as_deref()?),
    };
    Some(StepScript { style: ScriptStyle::FunctionBody, ..StepScript::javascript(place, source) })
}

fn compile(compiler: &mut Compiler, node: NodeId, step: &Arc<WorkflowTask>, _: Option<&Arc<WorkflowTask>>, _: usize) -> Kind {
    let own = step.script_expression.as_deref().is_some_and(|text| !text.trim().is_empty());
    if !own && !compiler.parameters(node, step).contains_key("scriptExpression") {
        let path = format!("{}.inputParameters.scriptExpression", compiler.node_path(node));
        compiler.fault(path, "must be the body of the function to evaluate", None);
    }
    Kind::Leaf
}

fn source(run: &Run, ix: Ix) -> Option<&str> {
    let given = run.record(ix).input.get("scriptExpression").and_then(Value::as_str);
    given.or_else(|| run.node(run.site(ix)).step.script_expression.as_deref())
}

fn begin(turn: &mut Turn<'_, '_>, ix: Ix) {
    if source(turn.run, ix).is_some() {
        turn.perform(ix);
    } else {
        turn.end_task(ix, Ending::failed("its input has no text `scriptExpression`".to_owned(), true));
    }
}

fn work(run: &Run, ix: Ix) -> Option<ServerWork> {
    Some(ServerWork::Script {
        language: ScriptLanguage::JavaScript,
        source: Arc::from(source(run, ix)?),
        style: ScriptStyle::FunctionBody,
        input: Arc::clone(&run.record(ix).input),
    })
}

fn performed(turn: &mut Turn<'_, '_>, ix: Ix, result: Result<Value, PerformFailure>) {
    let ending = match result {
        Ok(value) => Ending::with_output(json!({"result": value})),
        Err(failure) => {
            Ending { output: Some(json!({"error": failure.message})), ..Ending::failed(failure.message, failure.terminal) }
        }
    };
    turn.end_task(ix, ending);
}
