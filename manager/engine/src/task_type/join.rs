//! JOIN: waits until the steps it names are finished, or its script says so, and gathers their outputs.
//!
//! It counts what is still missing: worked out once when it begins or is loaded, then one less with each step that is
//! settled. A step is settled when it is finished or can no longer come because its case was not taken. The modes SYNC and
//! ASYNC are the same here: it is told at once. Behind a FORK_JOIN_DYNAMIC it waits for the branches that were made, and
//! its own `joinOn` counts for nothing, as in the API.

use std::sync::Arc;

use conductor_model::{Outcome, TaskRecord, TaskStatus, WorkflowTask};
use serde_json::{Map, Value, json};

use super::script::{self, Evaluator};
use super::{Behaviour, Role, StepScript};
use crate::attempt;
use crate::ending::Ending;
use crate::expression::Budget;
use crate::flow::{self, GATHERED_BYTES_MAX};
use crate::frame::Site;
use crate::plan::{Compiler, Kind, NodeId};
use crate::run::Run;
use crate::state::Ix;
use crate::turn::Turn;
use crate::work::{PerformFailure, ServerWork, WorkKind};

pub(super) const BEHAVIOUR: Behaviour = Behaviour {
    compile,
    prepare,
    begin,
    reopens: |_| true,
    look,
    work,
    performed,
    hands_over,
    forkable: false,
    work_kind: Some(WorkKind::Script),
    script: own_script,
    ..Behaviour::base(Role::Operator, Some("JOIN"))
};

/// Its script, where its evaluator is one.
fn own_script(step: &WorkflowTask) -> Option<StepScript<'_>> {
    let name = step.evaluator_type.as_deref()?;
    (script::evaluator(name) == Some(Evaluator::JavaScript)).then_some(())?;
    Some(StepScript::javascript("expression", step.expression.as_deref()?))
}

/// Only a script gets its input.
fn hands_over(step: &WorkflowTask, _: &str) -> bool {
    script_of(step).is_some()
}

fn compile(compiler: &mut Compiler, node: NodeId, step: &Arc<WorkflowTask>, _: Option<&Arc<WorkflowTask>>, _: usize) -> Kind {
    if step.join_on.is_empty() && !compiler.follows_fork(node) {
        let path = format!("{}.joinOn", compiler.node_path(node));
        compiler.fault(path, "must name what to wait for, because no FORK_JOIN stands before the JOIN", None);
    }
    let evaluator = script::check(compiler, node, step.evaluator_type.as_deref(), Evaluator::JavaScript);
    if script_of(step).is_some() && evaluator == Evaluator::ValueParam {
        let path = format!("{}.evaluatorType", compiler.node_path(node));
        compiler.fault(path, "must be `javascript` or `graaljs`: the outputs decide, not the input", None);
    }
    Kind::Join { waits_for: Vec::new(), gathers: Vec::new(), fork: None }
}

fn script_of(step: &WorkflowTask) -> Option<&str> {
    step.expression.as_deref().filter(|expression| !expression.trim().is_empty())
}

/// The steps whose outputs it gathers.
fn gathers(run: &Run, site: Site) -> Vec<Site> {
    match &run.node(site).kind {
        Kind::Join { fork: Some(fork), .. } => run.frames.branch_ends(site.with(*fork)).collect(),
        Kind::Join { gathers, .. } => gathers.iter().map(|step| site.with(*step)).collect(),
        _ => Vec::new(),
    }
}

fn prepare(turn: &Turn<'_, '_>, site: Site, record: &mut TaskRecord) -> Result<(), String> {
    attempt::resolve(turn, site, record)?;
    let names: Vec<Value> = gathers(turn.run, site).into_iter().map(|step| json!(&*turn.run.frames.reference(step))).collect();
    if let Value::Object(input) = Arc::make_mut(&mut record.input) {
        input.insert("joinOn".to_owned(), Value::Array(names));
    }
    Ok(())
}

/// A join begins by counting what is missing, and may be done at once.
pub(super) fn begin(turn: &mut Turn<'_, '_>, ix: Ix) {
    turn.start(ix);
    flow::count(turn, ix);
    (super::of(turn.run.record(ix).task_type).look)(turn, ix);
}

fn look(turn: &mut Turn<'_, '_>, ix: Ix) {
    let site = turn.run.site(ix);
    if script_of(&turn.run.node(site).step).is_some() {
        turn.perform(ix);
    } else if turn.run.state.missing.get(&site) == Some(&0) {
        complete(turn, ix);
    }
}

/// What its script sees: its own input, and how each step that it waits for stands.
fn work(run: &Run, ix: Ix) -> Option<ServerWork> {
    let site = run.site(ix);
    let mut input = run.record(ix).input.as_object().cloned().unwrap_or_default();
    for step in gathers(run, site) {
        let record = run.latest_of(step);
        let status = record.map(|record| record.status);
        let output = record.map(|record| Value::clone(&record.output));
        input.insert(run.node(step).reference.to_string(), json!({"status": status, "output": output}));
    }
    Some(script::javascript(script_of(&run.node(site).step)?, Arc::new(Value::Object(input))))
}

fn performed(turn: &mut Turn<'_, '_>, ix: Ix, result: Result<Value, PerformFailure>) {
    let site = turn.run.site(ix);
    match result {
        Ok(value) if script::is_true(&value) || verdict(&value) == Some("COMPLETED") => complete(turn, ix),
        Ok(value) if verdict(&value) == Some("FAILED") => {
            let reason =
                value.get("reasonForIncompletion").and_then(Value::as_str).unwrap_or("its expression says that it failed");
            turn.end_task(ix, Ending::failed(reason.to_owned(), true));
        }
        Ok(value) if turn.run.state.missing.get(&site) == Some(&0) => {
            let reason = format!("all that it waits for is finished, and its expression comes to {value}");
            turn.end_task(ix, Ending::failed(reason, true));
        }
        Ok(_) => {}
        Err(failure) => turn.end_task(ix, Ending::failed(failure.message, true)),
    }
}

/// The status that a script comes to: bare, or in an object that also has a reason.
fn verdict(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("status")?.as_str())
}

/// Gathers the outputs of what is there.
fn complete(turn: &mut Turn<'_, '_>, ix: Ix) {
    let site = turn.run.site(ix);
    let mut output = Map::new();
    let mut budget = Budget::new(GATHERED_BYTES_MAX);
    let mut errors = false;
    for step in gathers(turn.run, site) {
        let Some(record) = turn.run.latest_of(step).filter(|record| record.status.is_terminal()) else { continue };
        errors |= record.status != TaskStatus::Completed && record.status != TaskStatus::Skipped;
        if record.output.as_object().is_some_and(|output| !output.is_empty()) {
            if budget.take(&record.output).is_err() {
                let reason = format!("the outputs that it gathers are more than {GATHERED_BYTES_MAX} bytes together");
                return turn.end_task(ix, Ending::refused(reason));
            }
            output.insert(turn.run.node(step).reference.to_string(), Value::clone(&record.output));
        }
    }
    let status = if errors { TaskStatus::CompletedWithErrors } else { TaskStatus::Completed };
    turn.end_task(ix, Ending { output: Some(Value::Object(output)), ..Ending::new(status, Outcome::Succeeded) });
}
