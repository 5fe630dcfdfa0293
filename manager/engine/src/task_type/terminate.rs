//! TERMINATE: ends the workflow at once, well or badly.

use std::sync::Arc;

use conductor_model::{WorkflowStatus, WorkflowTask};
use serde_json::{Value, json};

use super::{Behaviour, Role};
use crate::child;
use crate::ending::Ending;
use crate::expression::as_text;
use crate::plan::{Compiler, Kind, NodeId};
use crate::state::Ix;
use crate::turn::Turn;

pub(super) const BEHAVIOUR: Behaviour = Behaviour { compile, begin, ..Behaviour::base(Role::System, Some("TERMINATE")) };

const EXPECTED: &str = "must be COMPLETED, FAILED or TERMINATED";

fn compile(compiler: &mut Compiler, node: NodeId, step: &Arc<WorkflowTask>, _: Option<&Arc<WorkflowTask>>, _: usize) -> Kind {
    if step.optional {
        let path = format!("{}.optional", compiler.node_path(node));
        compiler.fault(path, "must not be set: a TERMINATE cannot be done without", Some("true".to_owned()));
    }
    let path = format!("{}.inputParameters.terminationStatus", compiler.node_path(node));
    match compiler.parameters(node, step).get("terminationStatus") {
        Some(Value::String(text)) if text.contains("${") || status_of(text).is_some() => {}
        Some(other) => compiler.fault(path, EXPECTED, Some(as_text(other).into_owned())),
        None => compiler.fault(path, EXPECTED, None),
    }
    Kind::Leaf
}

fn status_of(text: &str) -> Option<WorkflowStatus> {
    match text.trim().to_ascii_uppercase().as_str() {
        "COMPLETED" => Some(WorkflowStatus::Completed),
        "FAILED" => Some(WorkflowStatus::Failed),
        "TERMINATED" => Some(WorkflowStatus::Terminated),
        _ => None,
    }
}

fn begin(turn: &mut Turn<'_, '_>, ix: Ix) {
    let input = Arc::clone(&turn.run.record(ix).input);
    let Some(status) = input.get("terminationStatus").and_then(Value::as_str).and_then(status_of) else {
        let given = input.get("terminationStatus").unwrap_or(&Value::Null);
        return turn.end_task(ix, Ending::failed(format!("terminationStatus {EXPECTED}; it is {given}"), true));
    };
    let output = match input.get("workflowOutput").unwrap_or(&Value::Null) {
        Value::Null => None,
        Value::Object(map) => Some(Value::Object(map.clone())),
        other => Some(json!({"output": other})),
    };
    turn.finish_at_once(ix, output.clone().unwrap_or_else(|| json!({})));
    let reason = input.get("terminationReason").filter(|reason| !reason.is_null()).map(|reason| as_text(reason).into_owned());
    let reason = match status {
        WorkflowStatus::Completed => reason,
        _ => reason.or_else(|| Some(format!("Workflow is {status} by TERMINATE task: {}", turn.run.record(ix).id))),
    };
    turn.end_workflow(status, reason);
    if let Some(output) = output {
        turn.set_workflow_output(output);
    }
    if status != WorkflowStatus::Completed {
        child::start_failure_workflow(turn, Some(ix));
    }
}
