//! SWITCH: takes one of several ways, by a value.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor_model::{TaskRecord, TaskStatus, WorkflowTask};
use serde_json::{Value, json};

use super::Behaviour;
use crate::expression::as_text;
use crate::plan::{BlockId, BlockPlace, Compiler, Kind, NodeId, Plan};
use crate::turn::{Ending, Turn, Work};

pub(super) const BEHAVIOUR: Behaviour = Behaviour { compile, schedule, external: false, name: Some("SWITCH") };

/// The one evaluator there is: the expression names an input key.
const VALUE_PARAM: &str = "value-param";

fn compile(
    compiler: &mut Compiler,
    node: NodeId,
    step: &Arc<WorkflowTask>,
    _: Option<&Arc<WorkflowTask>>,
    depth: usize,
) -> Kind {
    let evaluator = step.evaluator_type.as_deref().unwrap_or(VALUE_PARAM);
    if evaluator != VALUE_PARAM {
        let path = format!("{}.evaluatorType", compiler.node_path(node));
        compiler.fault(path, "is not known to this version; it knows `value-param`", Some(evaluator.to_owned()));
    }
    match step.expression.as_deref().map(str::trim).filter(|expression| !expression.is_empty()) {
        None => {
            let path = format!("{}.expression", compiler.node_path(node));
            compiler.fault(path, "must name the input parameter whose value decides", None);
        }
        Some(key) if evaluator == VALUE_PARAM && !step.input_parameters.contains_key(key) => {
            let path = format!("{}.expression", compiler.node_path(node));
            compiler.fault(path, "must name one of the step's inputParameters", Some(key.to_owned()));
        }
        Some(_) => {}
    }
    if step.decision_cases.is_empty() && step.default_case.is_empty() {
        let path = format!("{}.decisionCases", compiler.node_path(node));
        compiler.fault(path, "must have at least one case, or a defaultCase", None);
    }
    let mut case = |place: BlockPlace, steps: &[Arc<WorkflowTask>]| {
        (!steps.is_empty()).then(|| compiler.block(steps, Some(node), place, depth + 1))
    };
    let cases: BTreeMap<String, Option<BlockId>> = step
        .decision_cases
        .iter()
        .map(|(value, steps)| (value.clone(), case(BlockPlace::Case(value.clone()), steps)))
        .collect();
    Kind::Switch { cases, default: case(BlockPlace::Default, &step.default_case) }
}

fn schedule(turn: &mut Turn<'_, '_>, node: NodeId) {
    let plan = Arc::clone(&turn.run.plan);
    let Kind::Switch { cases, default } = &plan.node(node).kind else {
        return;
    };
    let mut record = turn.new_record(node);
    let input = match turn.run.resolve_input(node, record.id) {
        Ok(input) => input,
        Err(error) => {
            leave_out(turn, &plan, cases.values().copied().chain([*default]));
            let ix = turn.insert(node, record);
            return turn.end_task(ix, Ending::refused(error.to_string()));
        }
    };
    let key = plan.node(node).step.expression.as_deref().unwrap_or_default().trim();
    let value = as_text(input.get(key).unwrap_or(&Value::Null)).into_owned();
    let taken = cases.get(&value).copied().unwrap_or(*default);
    record.input = Arc::new(input);
    record.output = Arc::new(json!({"evaluationResult": [value], "selectedCase": value}));
    turn.insert_done(node, record);
    leave_out(turn, &plan, cases.values().copied().chain([*default]).filter(|block| *block != taken));
    match taken {
        Some(block) => turn.push(Work::Schedule(plan.first(block))),
        None => turn.push(Work::Finished(node)),
    }
}

/// Tells joins that the steps in cases will not come.
fn leave_out(turn: &mut Turn<'_, '_>, plan: &Plan, cases: impl Iterator<Item = Option<BlockId>>) {
    for case in cases.flatten() {
        for step in &plan.block(case).watched {
            turn.settle(*step);
        }
    }
}

/// The case that a switch took, by its record. `None` = an empty one, or none because the switch failed.
pub(crate) fn taken(kind: &Kind, record: &TaskRecord) -> Option<BlockId> {
    let Kind::Switch { cases, default } = kind else {
        return None;
    };
    if record.status != TaskStatus::Completed {
        return None;
    }
    let value = record.output.get("selectedCase").and_then(Value::as_str).unwrap_or_default();
    cases.get(value).copied().unwrap_or(*default)
}
