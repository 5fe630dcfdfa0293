//! A definition made ready to run: every step with its place, found by its reference in constant time.
//!
//! The steps lie flat in one list. A **block** is a sequence of steps: the workflow itself, a branch of a fork, a case of
//! a switch. Each step knows its block and position, each block the step that it belongs to, so that "what comes next"
//! and "who waits for this" are look-ups.

mod check;
mod compile;
mod order;

pub(crate) use check::OWN_TASK_ID;
pub(crate) use compile::Compiler;

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor_model::definition::TaskType;
use conductor_model::{Snapshot, TaskDef, Violation, WorkflowTask};
use rustc_hash::FxHashMap;
use thiserror::Error;

use crate::expression::Template;

/// A compiled [`Snapshot`]. Shared by all runs of the same definitions.
#[derive(Debug)]
pub struct Plan {
    snapshot: Arc<Snapshot>,
    nodes: Vec<Node>,
    blocks: Vec<Block>,
    by_reference: FxHashMap<Arc<str>, NodeId>,
    /// The workflow's output; `None` = the output of its last step.
    pub(crate) output: Option<Template>,
}

/// Why definitions cannot run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlanError {
    /// Everything that is wrong with the definition.
    #[error("the workflow definition has {} errors", .0.len())]
    Invalid(Vec<Violation>),
}

/// A step, by its index in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(pub u32);

/// A block, by its index in its plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct BlockId(pub u32);

/// A step with its place.
#[derive(Debug)]
pub(crate) struct Node {
    /// As it was defined.
    pub step: Arc<WorkflowTask>,
    pub reference: Arc<str>,
    pub definition_name: Arc<str>,
    /// What SIMPLE runs by: its own definition, else the snapshot's, else one with defaults.
    pub definition: Option<Arc<TaskDef>>,
    pub input: Template,
    /// The definition's input template, which fills what the input lacks.
    pub input_template: Option<Arc<Template>>,
    /// Present when the definition has the `agent` key.
    pub agent: Option<Arc<AgentTemplate>>,
    pub block: BlockId,
    pub position: u32,
    /// The joins that wait for this step.
    pub watchers: Vec<NodeId>,
    pub kind: Kind,
}

/// What a step has beside, by its type.
#[derive(Debug)]
pub(crate) enum Kind {
    Simple,
    Fork {
        branches: Vec<BlockId>,
    },
    Join {
        /// The steps that must be finished, each once.
        waits_for: Vec<NodeId>,
        /// The steps whose outputs it gathers.
        gathers: Vec<NodeId>,
    },
    Switch {
        /// `None` = an empty case: nothing happens.
        cases: BTreeMap<String, Option<BlockId>>,
        default: Option<BlockId>,
    },
}

/// The texts of the `agent` key that may hold expressions.
#[derive(Debug)]
pub(crate) struct AgentTemplate {
    pub plugin: Template,
    pub operation: Template,
    pub target: Option<Template>,
    pub requires: Option<Template>,
    pub node_instance: Option<Template>,
}

/// A sequence of steps.
#[derive(Debug)]
pub(crate) struct Block {
    /// The fork or switch that it belongs to; none for the workflow itself.
    pub parent: Option<NodeId>,
    pub place: BlockPlace,
    pub nodes: Vec<NodeId>,
    /// The steps in it, at any depth, that some join waits for.
    pub watched: Vec<NodeId>,
}

/// What a block is to its parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BlockPlace {
    Workflow,
    Branch(usize),
    Case(String),
    Default,
}

/// What comes behind a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// This step.
    Step(NodeId),
    /// The switch that this was the last step of a case of is finished.
    EndOfCase(NodeId),
    /// Nothing: a branch, or the workflow, is at its end.
    End,
}

impl Plan {
    /// Checks the definitions and works out every step's place. All that is wrong is said at once: references used twice,
    /// forks without a join, joins and expressions that name no step, cases without an expression, limits passed.
    ///
    /// # Errors
    /// [`PlanError::Invalid`] with one violation for each fault.
    pub fn compile(snapshot: Arc<Snapshot>) -> Result<Self, PlanError> {
        compile::compile(snapshot).map_err(PlanError::Invalid)
    }

    /// The definitions it was made from.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The step with this reference.
    #[must_use]
    pub fn step(&self, reference: &str) -> Option<&Arc<WorkflowTask>> {
        self.find(reference).map(|id| &self.node(id).step)
    }

    /// What the step with this reference runs by: its own definition, else the one of its name, else one of defaults
    /// without retries. `None` for steps that are not SIMPLE.
    #[must_use]
    pub fn definition(&self, reference: &str) -> Option<&Arc<TaskDef>> {
        self.find(reference).and_then(|id| self.node(id).definition.as_ref())
    }

    /// How many steps it has, over all levels.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn find(&self, reference: &str) -> Option<NodeId> {
        self.by_reference.get(reference).copied()
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    pub(crate) fn block(&self, id: BlockId) -> &Block {
        &self.blocks[id.0 as usize]
    }

    /// The workflow's own block.
    pub(crate) fn root(&self) -> &Block {
        &self.blocks[0]
    }

    /// The first step of a block. Blocks are never empty.
    pub(crate) fn first(&self, id: BlockId) -> NodeId {
        self.block(id).nodes[0]
    }

    /// What comes behind a step that is finished.
    pub(crate) fn next(&self, id: NodeId) -> Next {
        let node = self.node(id);
        let block = self.block(node.block);
        if let Some(next) = block.nodes.get(node.position as usize + 1) {
            return Next::Step(*next);
        }
        match block.parent {
            Some(parent) if self.node(parent).step.task_type == TaskType::Switch => Next::EndOfCase(parent),
            Some(_) | None => Next::End,
        }
    }

    /// The next step that will run behind this one, past the ends of cases; `None` at the end of a branch or the workflow.
    pub(crate) fn continuation(&self, mut id: NodeId) -> Option<NodeId> {
        loop {
            match self.next(id) {
                Next::Step(next) => return Some(next),
                Next::EndOfCase(switch) => id = switch,
                Next::End => return None,
            }
        }
    }
}
