//! SWITCH: takes one of several ways, by a value or a script.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor_model::{TaskRecord, TaskStatus, WorkflowTask};
use serde_json::{Value, json};

use super::script::{self, Evaluator};
use super::{Behaviour, Role, StepScript};
use crate::ending::Ending;
use crate::expression::as_text;
use crate::flow;
use crate::frame::Site;
use crate::plan::{BlockId, BlockPlace, Compiler, Kind, NodeId};
use crate::run::Run;
use crate::state::Ix;
use crate::turn::{Turn, Work};
use crate::work::{PerformFailure, ServerWork, WorkKind};

pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    compile,
    begin,
    work,
    performed,
    hands_over,
    enter,
    work_kind: Some(WorkKind::Script),
    script: own_script,
    ..Behaviour::base(Role::Operator, Some("SWITCH"))
};

/// Its script, where its evaluator is one.
fn own_script(step: &WorkflowTask) -> Option<StepScript<'_>> {
    let name = step.evaluator_type.as_deref()?;
    (script::evaluator(name) == Some(Evaluator::JavaScript)).then_some(())?;
    Some(StepScript::javascript("expression", step.expression.as_deref()?))
}

/// A script gets its input; a value that is only named goes nowhere.
fn hands_over(step: &WorkflowTask, _: &str) -> bool {
    step.evaluator_type.as_deref().and_then(script::evaluator) == Some(Evaluator::JavaScript)
}

fn compile(
    compiler: &mut Compiler,
    node: NodeId,
    step: &Arc<WorkflowTask>,
    _: Option<&Arc<WorkflowTask>>,
    depth: usize,
) -> Kind {
    let evaluator = script::check(compiler, node, step.evaluator_type.as_deref(), Evaluator::ValueParam);
    let path = format!("{}.expression", compiler.node_path(node));
    match (step.expression.as_deref().map(str::trim).filter(|expression| !expression.is_empty()), evaluator) {
        (None, Evaluator::ValueParam) => compiler.fault(path, "must name the input parameter whose value decides", None),
        (None, Evaluator::JavaScript) => compiler.fault(path, "must be a script whose value decides", None),
        (Some(key), Evaluator::ValueParam) if !compiler.parameters(node, step).contains_key(key) => {
            compiler.fault(path, "must name one of the step's inputParameters", Some(key.to_owned()));
        }
        (Some(_), _) => {}
    }
    cases(compiler, node, step, depth)
}

/// Reads the cases of a SWITCH or DECISION.
pub(super) fn cases(compiler: &mut Compiler, node: NodeId, step: &WorkflowTask, depth: usize) -> Kind {
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

fn begin(turn: &mut Turn<'_, '_>, ix: Ix) {
    let step = Arc::clone(&turn.run.node(turn.run.site(ix)).step);
    if step.evaluator_type.as_deref().and_then(script::evaluator) == Some(Evaluator::JavaScript) {
        return turn.perform(ix);
    }
    let key = step.expression.as_deref().unwrap_or_default().trim();
    let value = as_text(turn.run.record(ix).input.get(key).unwrap_or(&Value::Null)).into_owned();
    decided(turn, ix, &value);
}

fn work(run: &Run, ix: Ix) -> Option<ServerWork> {
    let source = run.node(run.site(ix)).step.expression.as_deref()?;
    Some(script::javascript(source, Arc::clone(&run.record(ix).input)))
}

fn performed(turn: &mut Turn<'_, '_>, ix: Ix, result: Result<Value, PerformFailure>) {
    match result {
        Ok(value) => decided(turn, ix, &as_text(&value)),
        Err(failure) => turn.end_task(ix, Ending::failed(failure.message, false)),
    }
}

fn decided(turn: &mut Turn<'_, '_>, ix: Ix, value: &str) {
    take(turn, ix, json!({"evaluationResult": [value], "selectedCase": value}));
}

/// The task is done; the flow goes on in the case that its output names.
pub(super) fn take(turn: &mut Turn<'_, '_>, ix: Ix, output: Value) {
    turn.start(ix);
    turn.finish_at_once(ix, output);
    let site = turn.run.site(ix);
    let plan = turn.run.plan_of(site);
    let kind = &plan.node(site.node).kind;
    let taken = taken(kind, turn.run.record(ix));
    leave_out(turn, site, taken);
    if !enter(turn, site) {
        flow::finished(turn, site);
    }
}

/// The first step of the case that was taken is scheduled.
pub(super) fn enter(turn: &mut Turn<'_, '_>, site: Site) -> bool {
    let plan = turn.run.plan_of(site);
    let taken = turn.run.latest_of(site).and_then(|record| taken(&plan.node(site.node).kind, record));
    if let Some(block) = taken {
        turn.push(Work::Schedule(site.with(plan.first(block))));
    }
    taken.is_some()
}

/// Joins hear that the steps in the cases that were not taken will not come.
pub(crate) fn leave_out(turn: &mut Turn<'_, '_>, site: Site, taken: Option<BlockId>) {
    let plan = turn.run.plan_of(site);
    let Kind::Switch { cases, default } = &plan.node(site.node).kind else { return };
    for other in cases.values().copied().chain([*default]).flatten().filter(|block| Some(*block) != taken) {
        for step in &plan.block(other).watched {
            flow::settle(turn, site.with(*step));
        }
    }
}

/// The case that a switch took, by its record. `None` = an empty one, or none because the switch failed.
pub(crate) fn taken(kind: &Kind, record: &TaskRecord) -> Option<BlockId> {
    let Kind::Switch { cases, default } = kind else { return None };
    if record.status != TaskStatus::Completed {
        return None;
    }
    if let Some(value) = record.output.get("selectedCase").and_then(Value::as_str) {
        return cases.get(value).copied().unwrap_or(*default);
    }
    // DECISION says it in its own words; an empty case is the default there.
    let value = record.output.get("caseOutput").and_then(|output| output.get(0)).and_then(Value::as_str);
    value.and_then(|value| cases.get(value).copied().flatten()).or(*default)
}
