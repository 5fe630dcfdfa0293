//! FORK_JOIN: starts its branches and the JOIN behind it, and is done.

use std::sync::Arc;

use conductor_model::WorkflowTask;
use conductor_model::definition::TaskType;

use super::Behaviour;
use crate::plan::{BlockPlace, Compiler, Kind, Next, NodeId};
use crate::turn::{Turn, Work};

pub(super) const BEHAVIOUR: Behaviour = Behaviour { compile, schedule, external: false, name: Some("FORK") };

fn compile(
    compiler: &mut Compiler,
    node: NodeId,
    step: &Arc<WorkflowTask>,
    next: Option<&Arc<WorkflowTask>>,
    depth: usize,
) -> Kind {
    if step.fork_tasks.is_empty() {
        let path = format!("{}.forkTasks", compiler.node_path(node));
        compiler.fault(path, "must have at least one branch", None);
    }
    if next.is_none_or(|next| next.task_type != TaskType::Join) {
        let path = compiler.node_path(node);
        compiler.fault(path, "must be followed by a step of type JOIN", None);
    }
    let mut branches = Vec::with_capacity(step.fork_tasks.len());
    for (index, branch) in step.fork_tasks.iter().enumerate() {
        if branch.is_empty() {
            let path = format!("{}.forkTasks[{index}]", compiler.node_path(node));
            compiler.fault(path, "must have at least one step", None);
            continue;
        }
        branches.push(compiler.block(branch, Some(node), BlockPlace::Branch(index), depth + 1));
    }
    Kind::Fork { branches }
}

fn schedule(turn: &mut Turn<'_, '_>, node: NodeId) {
    let record = turn.new_record(node);
    turn.insert_done(node, record);
    let plan = Arc::clone(&turn.run.plan);
    if let Kind::Fork { branches } = &plan.node(node).kind {
        for branch in branches {
            turn.push(Work::Schedule(plan.first(*branch)));
        }
    }
    if let Next::Step(join) = plan.next(node) {
        turn.push(Work::Schedule(join));
    }
}
