//! JOIN: waits until the steps it names are finished, and gathers their outputs.
//!
//! It counts what is still missing: worked out once when it is scheduled or loaded, then one less with each step that is
//! settled. A step is settled when it is finished or can no longer come because its case was not taken.

use std::sync::Arc;

use conductor_model::definition::TaskType;
use conductor_model::{Outcome, TaskStatus, WorkflowTask};
use serde_json::{Map, Value};

use super::Behaviour;
use crate::expression::Budget;
use crate::flow::GATHERED_BYTES_MAX;
use crate::plan::{Compiler, Kind, NodeId};
use crate::turn::{Ending, Turn};

pub(super) const BEHAVIOUR: Behaviour = Behaviour { compile, schedule, external: false, name: Some("JOIN") };

fn compile(compiler: &mut Compiler, node: NodeId, step: &Arc<WorkflowTask>, _: Option<&Arc<WorkflowTask>>, _: usize) -> Kind {
    if step.join_on.is_empty() && !compiler.follows(node, TaskType::ForkJoin) {
        let path = format!("{}.joinOn", compiler.node_path(node));
        compiler.fault(path, "must name what to wait for, because no FORK_JOIN stands before the JOIN", None);
    }
    Kind::Join { waits_for: Vec::new(), gathers: Vec::new() }
}

fn schedule(turn: &mut Turn<'_, '_>, node: NodeId) {
    let plan = Arc::clone(&turn.run.plan);
    let Kind::Join { waits_for, .. } = &plan.node(node).kind else {
        return;
    };
    let mut record = turn.new_record(node);
    record.status = TaskStatus::InProgress;
    record.started_at = Some(turn.now());
    match turn.run.resolve_input(node, record.id) {
        Ok(input) => record.input = Arc::new(input),
        Err(error) => {
            let ix = turn.insert(node, record);
            return turn.end_task(ix, Ending::refused(error.to_string()));
        }
    }
    turn.insert(node, record);
    let missing = waits_for.iter().filter(|step| !turn.run.state.settled.contains(step)).count();
    turn.run.state.missing.insert(node, missing);
    if missing == 0 {
        complete(turn, node);
    }
}

/// Everything it waits for is settled.
pub(crate) fn complete(turn: &mut Turn<'_, '_>, node: NodeId) {
    turn.run.state.missing.remove(&node);
    let plan = Arc::clone(&turn.run.plan);
    let (Kind::Join { gathers, .. }, Some(ix)) = (&plan.node(node).kind, turn.run.state.latest.get(&node).copied()) else {
        return;
    };
    let mut output = Map::new();
    let mut budget = Budget::new(GATHERED_BYTES_MAX);
    let mut errors = false;
    for step in gathers {
        let Some(record) = turn.run.latest_of(*step) else {
            continue;
        };
        errors |= record.status != TaskStatus::Completed && record.status != TaskStatus::Skipped;
        if record.output.as_object().is_some_and(|output| !output.is_empty()) {
            if budget.take(&record.output).is_err() {
                let reason = format!("the outputs that it gathers are more than {GATHERED_BYTES_MAX} bytes together");
                return turn.end_task(ix, Ending::refused(reason));
            }
            output.insert(record.reference.to_string(), Value::clone(&record.output));
        }
    }
    let status = if errors { TaskStatus::CompletedWithErrors } else { TaskStatus::Completed };
    turn.end_task(ix, Ending { output: Some(Value::Object(output)), ..Ending::new(status, Outcome::Succeeded) });
}
