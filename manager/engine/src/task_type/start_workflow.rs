//! START_WORKFLOW: starts another workflow and does not wait for its end.

use std::sync::Arc;

use conductor_model::WorkflowTask;
use serde_json::{Value, json};

use super::{Behaviour, Role};
use crate::child::{self, Said};
use crate::decision::Effect;
use crate::ending::Ending;
use crate::plan::{Compiler, Kind, NodeId};
use crate::state::Ix;
use crate::turn::Turn;
use crate::work::ChildOrder;

pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    compile,
    begin,
    hands_over,
    child_started: Some(|turn, ix, child| turn.end_task(ix, Ending::with_output(json!({"workflowId": child})))),
    ..Behaviour::base(Role::System, Some("START_WORKFLOW"))
};

const KEY: &str = "startWorkflow";

/// A definition in place names secrets for its own steps.
fn hands_over(_: &WorkflowTask, place: &str) -> bool {
    place.starts_with("startWorkflow.workflowDef.")
}

fn compile(compiler: &mut Compiler, node: NodeId, step: &Arc<WorkflowTask>, _: Option<&Arc<WorkflowTask>>, _: usize) -> Kind {
    if !compiler.parameters(node, step).contains_key(KEY) {
        let path = format!("{}.inputParameters.{KEY}", compiler.node_path(node));
        compiler.fault(path, "must say which workflow to start, as in `{\"name\": …, \"input\": …}`", None);
    }
    Kind::Leaf
}

fn begin(turn: &mut Turn<'_, '_>, ix: Ix) {
    let record = turn.run.record(ix);
    let task = record.id;
    let Some(request) = record.input.get(KEY).filter(|request| request.is_object()) else {
        return turn.end_task(ix, Ending::failed(format!("its input `{KEY}` must be an object"), false));
    };
    let said = Said {
        name: request.get("name"),
        version: request.get("version"),
        definition: request.get("workflowDef"),
        correlation_id: request.get("correlationId"),
        priority: request.get("priority"),
        task_to_domain: request.get("taskToDomain"),
        idempotency_key: request.get("idempotencyKey"),
        idempotency_strategy: request.get("idempotencyStrategy"),
    };
    let input = request.get("input").and_then(Value::as_object).cloned().unwrap_or_default();
    match child::order(turn.run, child::id_of(task), &said) {
        Ok(order) => {
            turn.start(ix);
            let order = Box::new(ChildOrder { input, ..order });
            turn.effect(Effect::StartWorkflow { task: Some(task), order });
        }
        Err(reason) => turn.end_task(ix, Ending::failed(reason, false)),
    }
}
