//! DECISION: the older SWITCH. An empty case counts as the default.

use std::sync::Arc;

use conductor_model::WorkflowTask;
use serde_json::{Value, json};

use super::{Behaviour, Role, StepScript, script, switch};
use crate::ending::Ending;
use crate::expression::as_text;
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
    enter: switch::enter,
    work_kind: Some(WorkKind::Script),
    script: |step| Some(StepScript::javascript("caseExpression", step.case_expression.as_deref()?)),
    ..Behaviour::base(Role::Operator, Some("DECISION"))
};

/// A script gets its input; a value that is only named goes nowhere.
fn hands_over(step: &WorkflowTask, _: &str) -> bool {
    given(step.case_expression.as_deref()).is_some()
}

fn compile(
    compiler: &mut Compiler,
    node: NodeId,
    step: &Arc<WorkflowTask>,
    _: Option<&Arc<WorkflowTask>>,
    depth: usize,
) -> Kind {
    let path = compiler.node_path(node);
    match (given(step.case_expression.as_deref()), given(step.case_value_param.as_deref())) {
        (None, None) => {
            compiler.fault(format!("{path}.caseValueParam"), "must name the input parameter whose value decides", None);
        }
        (None, Some(key)) if !compiler.parameters(node, step).contains_key(key) => {
            let message = "must name one of the step's inputParameters";
            compiler.fault(format!("{path}.caseValueParam"), message, Some(key.to_owned()));
        }
        _ => {}
    }
    switch::cases(compiler, node, step, depth)
}

fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.trim().is_empty())
}

fn begin(turn: &mut Turn<'_, '_>, ix: Ix) {
    let step = Arc::clone(&turn.run.node(turn.run.site(ix)).step);
    if given(step.case_expression.as_deref()).is_some() {
        return turn.perform(ix);
    }
    let key = step.case_value_param.as_deref().unwrap_or_default();
    let value = as_text(turn.run.record(ix).input.get(key).unwrap_or(&Value::Null)).into_owned();
    switch::take(turn, ix, json!({"caseOutput": [value]}));
}

fn work(run: &Run, ix: Ix) -> Option<ServerWork> {
    let source = run.node(run.site(ix)).step.case_expression.as_deref()?;
    Some(script::javascript(source, Arc::clone(&run.record(ix).input)))
}

fn performed(turn: &mut Turn<'_, '_>, ix: Ix, result: Result<Value, PerformFailure>) {
    match result {
        Ok(value) => switch::take(turn, ix, json!({"caseOutput": [as_text(&value)]})),
        Err(failure) => turn.end_task(ix, Ending::failed(failure.message, false)),
    }
}
