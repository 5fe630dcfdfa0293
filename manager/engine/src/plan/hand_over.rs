//! Secrets and environment values stand only where an input is handed over: anywhere else they would stay what they are
//! written as, without a word.

use std::iter;
use std::sync::Arc;

use conductor_model::definition::{each_sealed, sealed_for_nobody};
use serde_json::{Value, json};

use super::{Compiler, NodeId};
use crate::task_type;

const ELSEWHERE: &str =
    "use it in the inputParameters of a step that hands its input to a worker, an agent, a script or a request";

/// Checks what belongs to the workflow as a whole.
pub(super) fn workflow(compiler: &mut Compiler) {
    if compiler.stored {
        return;
    }
    let definition = Arc::clone(&compiler.snapshot.workflow);
    for (field, map) in [
        ("outputParameters", &definition.output_parameters),
        ("inputTemplate", &definition.input_template),
        ("variables", &definition.variables),
    ] {
        for (key, value) in map {
            refuse(compiler, value, &format!("{field}.{key}"), ELSEWHERE);
        }
    }
    if let Some(name) = &definition.failure_workflow {
        refuse(compiler, &json!(name), "failureWorkflow", ELSEWHERE);
    }
}

/// Checks a step that has been read.
pub(super) fn step(compiler: &mut Compiler, id: NodeId) {
    if compiler.stored {
        return;
    }
    let node = &compiler.nodes[id.0 as usize];
    let (step, definition) = (Arc::clone(&node.step), node.definition.clone());
    let path = compiler.node_path(id);
    let child = step.sub_workflow_param.is_some();
    let instead = if child { "use it in the steps of the workflow that is started" } else { ELSEWHERE };
    let hands_over = task_type::of(step.task_type).hands_over;
    let mut found = Vec::new();
    let template = definition
        .as_ref()
        .map(|definition| (format!("taskDefinitions[{}].inputTemplate", definition.name), &definition.input_template));
    for (base, map) in iter::once((format!("{path}.inputParameters"), &step.input_parameters)).chain(template) {
        for (key, value) in map {
            each_sealed(value, key, &mut |place, expression| {
                if !hands_over(&step, place) {
                    found.push((format!("{base}.{place}"), expression.to_owned()));
                }
            });
        }
    }
    for (at, expression) in found {
        compiler.violations.push(sealed_for_nobody(at, &expression, instead));
    }
    for (field, text) in [
        ("expression", &step.expression),
        ("caseExpression", &step.case_expression),
        ("scriptExpression", &step.script_expression),
        ("loopCondition", &step.loop_condition),
        ("sink", &step.sink),
    ] {
        if let Some(text) = text {
            refuse(compiler, &json!(text), &format!("{path}.{field}"), "give it to the step in its inputParameters");
        }
    }
    refuse(compiler, &step.items, &format!("{path}.items"), ELSEWHERE);
    if let Some(params) = step.sub_workflow_param.as_deref() {
        let params = json!(params);
        for (key, value) in params.as_object().into_iter().flatten() {
            // A definition in place names them for its own steps.
            if !(key == "workflowDefinition" && value.is_object()) {
                refuse(compiler, value, &format!("{path}.subWorkflowParam.{key}"), instead);
            }
        }
    }
}

fn refuse(compiler: &mut Compiler, value: &Value, path: &str, instead: &str) {
    let mut found = Vec::new();
    each_sealed(value, path, &mut |at, expression| found.push((at.to_owned(), expression.to_owned())));
    for (at, expression) in found {
        compiler.violations.push(sealed_for_nobody(at, &expression, instead));
    }
}
