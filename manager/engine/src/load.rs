//! The indices of a run, worked out from its records in one pass.

use std::sync::Arc;

use conductor_model::{TaskRecord, WorkflowRecord, WorkflowStatus};

use crate::plan::{BlockId, Kind, NodeId, Plan};
use crate::run::{Ix, State};
use crate::task_type::switch;

/// Works out the indices. Tasks whose reference is not in the plan are left out: the plan belongs to the digest that the
/// workflow was started with, so there are none.
pub(crate) fn derive(plan: &Arc<Plan>, workflow: &WorkflowRecord, mut tasks: Vec<TaskRecord>) -> State {
    tasks.sort_unstable_by_key(|task| task.seq);
    let mut state = State::of(workflow);
    for record in tasks {
        if let Some(node) = plan.find(&record.reference) {
            state.add(node, record);
        }
    }
    if !workflow.status.is_terminal() {
        let mut walk = Walk { plan, state: &mut state, paused: workflow.status == WorkflowStatus::Paused, joins: Vec::new() };
        walk.block(BlockId(0));
        for join in std::mem::take(&mut walk.joins) {
            if let Kind::Join { waits_for, .. } = &plan.node(join).kind {
                let missing = waits_for.iter().filter(|step| !state.settled.contains(step)).count();
                state.missing.insert(join, missing);
            }
        }
    }
    state
}

/// How far the flow has come in each block.
struct Walk<'a> {
    plan: &'a Plan,
    state: &'a mut State,
    paused: bool,
    /// Joins in progress.
    joins: Vec<NodeId>,
}

impl Walk<'_> {
    /// Follows the flow through a block as far as it has come. True = it is finished, and what follows has been drawn.
    fn block(&mut self, id: BlockId) -> bool {
        self.plan.block(id).nodes.iter().all(|node| self.step(*node))
    }

    /// The same for one step. In a paused workflow it only counts as finished when what follows is there: what is not, is
    /// pending. (A step at the end of a branch then counts as pending even if its join knows of it already; the join is
    /// counted anew, so that telling it again is right.)
    fn step(&mut self, node: NodeId) -> bool {
        let Some(ix) = self.state.latest.get(&node).copied() else {
            return false;
        };
        let record = &self.state.tasks[ix.0 as usize].record;
        if !record.status.is_terminal() {
            if let Kind::Join { .. } = self.plan.node(node).kind {
                self.joins.push(node);
            }
            return false;
        }
        let failed = !record.status.is_successful();
        match &self.plan.node(node).kind {
            Kind::Fork { branches } => {
                for branch in branches {
                    self.block(*branch);
                }
                return true;
            }
            kind @ Kind::Switch { cases, default } => {
                let taken = switch::taken(kind, record);
                for other in cases.values().copied().chain([*default]).flatten().filter(|block| Some(*block) != taken) {
                    self.state.settled.extend(self.plan.block(other).watched.iter().copied());
                }
                if let Some(taken) = taken {
                    let finished = self.block(taken);
                    if finished {
                        self.settle(node);
                    }
                    return finished;
                }
            }
            Kind::Simple | Kind::Join { .. } => {}
        }
        if self.paused && !self.followed(node) {
            self.pending(ix);
            return false;
        }
        if failed {
            // The flow went on behind it, so it was permissive.
            self.state.tolerated += 1;
        }
        self.settle(node);
        true
    }

    fn followed(&self, node: NodeId) -> bool {
        self.plan.continuation(node).is_some_and(|next| self.state.latest.contains_key(&next))
    }

    fn pending(&mut self, ix: Ix) {
        self.state.pending.insert(ix);
    }

    fn settle(&mut self, node: NodeId) {
        if !self.plan.node(node).watchers.is_empty() {
            self.state.settled.insert(node);
        }
    }
}
