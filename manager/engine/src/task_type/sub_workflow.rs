//! SUB_WORKFLOW: runs another workflow and waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor_model::{IdempotencyStrategy, Snapshot, TaskRecord, WorkflowTask};
use serde_json::{Value, json};

use super::{Behaviour, Role};
use crate::attempt;
use crate::child::{self, Said};
use crate::decision::Effect;
use crate::ending::Ending;
use crate::frame::Site;
use crate::plan::{Compiler, Kind, NodeId, Plan, PlanError};
use crate::state::Ix;
use crate::turn::Turn;
use crate::work::ChildOrder;

pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    compile,
    prepare,
    begin,
    child_started: Some(|turn, ix, child| turn.set_output(ix, json!({"subWorkflowId": child}))),
    awaits_child: true,
    ..Behaviour::base(Role::System, Some("SUB_WORKFLOW"))
};

/// The texts of `subWorkflowParam` by the input key that shows what they come to.
const SHOWN: [(&str, &str); 7] = [
    ("subWorkflowParam.name", "subWorkflowName"),
    ("subWorkflowParam.version", "subWorkflowVersion"),
    ("subWorkflowParam.workflowDefinition", "subWorkflowDefinition"),
    ("subWorkflowParam.priority", "priority"),
    ("subWorkflowParam.taskToDomain", "subWorkflowTaskToDomain"),
    ("subWorkflowParam.idempotencyKey", "idempotencyKey"),
    ("subWorkflowParam.idempotencyStrategy", "idempotencyStrategy"),
];

fn compile(compiler: &mut Compiler, node: NodeId, step: &Arc<WorkflowTask>, _: Option<&Arc<WorkflowTask>>, _: usize) -> Kind {
    let path = format!("{}.subWorkflowParam", compiler.node_path(node));
    let Some(params) = step.sub_workflow_param.as_deref() else {
        compiler.fault(path, "must name the workflow to run", None);
        return Kind::Leaf;
    };
    if params.name.trim().is_empty() && params.workflow_definition.is_none() {
        compiler.fault(format!("{path}.name"), "must be the name of the workflow to run, or give a workflowDefinition", None);
    }
    match &params.task_to_domain {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) if text.contains("${") => {}
        Some(Value::Object(domains)) if domains.values().all(Value::is_string) => {}
        Some(other) => {
            let message = "must be an object with a domain for each task type, or an expression that comes to one";
            compiler.fault(format!("{path}.taskToDomain"), message, Some(other.to_string()));
        }
    }
    if let Some(strategy) = params.idempotency_strategy.as_deref().filter(|text| !text.is_empty() && !text.contains("${"))
        && serde_json::from_value::<IdempotencyStrategy>(json!(strategy)).is_err()
    {
        let message = "must be FAIL, RETURN_EXISTING or FAIL_ON_RUNNING, or an expression that comes to one of them";
        compiler.fault(format!("{path}.idempotencyStrategy"), message, Some(strategy.to_owned()));
    }
    let params = json!(params);
    for (field, _) in SHOWN {
        let key = field.rsplit('.').next().unwrap_or(field);
        match params.get(key) {
            None | Some(Value::Null) => {}
            // A definition in place has expressions of its own, which are for the child.
            Some(Value::Object(_)) if key == "workflowDefinition" => check_definition(compiler, &path, &params[key]),
            Some(value) => compiler.text(node, field, value),
        }
    }
    Kind::Leaf
}

/// A definition in place is checked as completely as the one around it. How deep they can lie in each other is bounded by
/// the depth of JSON that is taken from outside.
fn check_definition(compiler: &mut Compiler, path: &str, value: &Value) {
    let path = format!("{path}.workflowDefinition");
    let definition = match <conductor_model::WorkflowDef as serde::Deserialize>::deserialize(value) {
        Ok(definition) => definition,
        Err(error) => return compiler.fault(path, format!("cannot be read: {error}"), None),
    };
    // Task definitions are looked up when the child starts; here they count as absent.
    let snapshot = Snapshot { digest: String::new(), workflow: Arc::new(definition), tasks: BTreeMap::new() };
    if let Err(PlanError::Invalid(violations)) = Plan::compile(Arc::new(snapshot)) {
        for violation in violations {
            compiler.fault(format!("{path}.{}", violation.path), violation.message, violation.invalid_value);
        }
    }
}

fn prepare(turn: &Turn<'_, '_>, site: Site, record: &mut TaskRecord) -> Result<(), String> {
    attempt::resolve(turn, site, record)?;
    let mut shown = Vec::new();
    for (field, key) in SHOWN {
        let value = turn.run.resolve_text(site, field, record.id).map_err(|error| error.to_string())?;
        shown.extend(value.filter(|value| !value.is_null()).map(|value| (key.to_owned(), value)));
    }
    let node = turn.run.node(site);
    let in_place = node.step.sub_workflow_param.as_deref().and_then(|params| params.workflow_definition.as_ref());
    if let Some(definition @ Value::Object(_)) = in_place {
        shown.push(("subWorkflowDefinition".to_owned(), definition.clone()));
    }
    let own = Value::clone(&record.input);
    if let Value::Object(input) = Arc::make_mut(&mut record.input) {
        input.extend(shown);
        // Somebody may give the child's whole input as one.
        let given = input.get("workflowInput").and_then(Value::as_object).is_some_and(|given| !given.is_empty());
        if !given {
            input.insert("workflowInput".to_owned(), own);
        }
    }
    order(turn.run, record).map(|_| ())
}

/// The child that a task asks for.
fn order(run: &crate::run::Run, record: &TaskRecord) -> Result<ChildOrder, String> {
    let input = &record.input;
    let said = Said {
        name: input.get("subWorkflowName"),
        version: input.get("subWorkflowVersion"),
        definition: input.get("subWorkflowDefinition"),
        priority: input.get("priority"),
        task_to_domain: input.get("subWorkflowTaskToDomain"),
        idempotency_key: input.get("idempotencyKey"),
        idempotency_strategy: input.get("idempotencyStrategy"),
        correlation_id: None,
    };
    let order = child::order(run, child::id_of(record.id), &said)?;
    let own = input.get("workflowInput").and_then(Value::as_object).cloned().unwrap_or_default();
    Ok(ChildOrder { input: own, parent: Some((record.workflow_id, record.id)), ..order })
}

fn begin(turn: &mut Turn<'_, '_>, ix: Ix) {
    let record = turn.run.record(ix);
    let (task, order) = (record.id, order(turn.run, record));
    match order {
        Ok(order) => {
            turn.wait_for_update(ix);
            turn.set_output(ix, json!({"subWorkflowId": order.id}));
            turn.change(ix).sub_workflow_id = Some(order.id);
            turn.effect(Effect::StartWorkflow { task: Some(task), order: Box::new(order) });
        }
        Err(reason) => turn.end_task(ix, Ending::failed(reason, true)),
    }
}
