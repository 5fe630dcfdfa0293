//! FORK_JOIN: starts its branches and the JOIN behind it, and is done.

use std::sync::Arc;

use conductor_model::WorkflowTask;
use conductor_model::definition::TaskType;
use serde_json::json;

use super::{Behaviour, Role};
use crate::frame::{Next, Site};
use crate::plan::{BlockPlace, Compiler, Kind, NodeId};
use crate::state::Ix;
use crate::turn::{Turn, Work};

pub(super) const BEHAVIOUR: Behaviour =
    Behaviour { compile, begin, enter, forkable: false, ..Behaviour::base(Role::Operator, Some("FORK")) };

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
    expect_join(compiler, node, next);
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

/// Behind a fork stands its JOIN, which is scheduled together with the branches.
pub(super) fn expect_join(compiler: &mut Compiler, node: NodeId, next: Option<&Arc<WorkflowTask>>) {
    if next.is_none_or(|next| next.task_type != TaskType::Join) {
        let path = compiler.node_path(node);
        compiler.fault(path, "must be followed by a step of type JOIN", None);
    }
}

fn begin(turn: &mut Turn<'_, '_>, ix: Ix) {
    turn.start(ix);
    turn.finish_at_once(ix, json!({}));
    enter(turn, turn.run.site(ix));
}

/// The first steps of the branches are scheduled, and the join.
fn enter(turn: &mut Turn<'_, '_>, site: Site) -> bool {
    let plan = turn.run.plan_of(site);
    if let Kind::Fork { branches } = &plan.node(site.node).kind {
        for branch in branches {
            turn.push(Work::Schedule(site.with(plan.first(*branch))));
        }
    }
    if let Next::Step(join) = turn.run.frames.next(site) {
        turn.push(Work::Schedule(join));
    }
    true
}
