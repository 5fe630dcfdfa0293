//! A definition made ready to run: every step with its place, found by its reference in constant time.
//!
//! The steps lie flat in one list. A **block** is a sequence of steps: the workflow itself, a branch of a fork, a case of
//! a switch, a round of a loop. Each step knows its block and position, each block the step that it belongs to, so that
//! "what comes next" and "who waits for this" are look-ups.
//!
//! A plan never changes. What a run adds to it, rounds of loops and branches of dynamic forks, are its [`crate::frame`]s.

mod check;
mod compile;
mod fragment;
mod hand_over;
mod join;
mod order;
mod written;

pub(crate) use check::OWN_TASK_ID;
pub(crate) use compile::{Compiler, ad_hoc, agent_template};
pub(crate) use fragment::fragment;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use conductor_model::{Snapshot, TaskDef, Violation, WorkflowTask};
use rustc_hash::FxHashMap;
use serde_json::value::RawValue;
use thiserror::Error;

use self::written::Written;
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
    /// What it runs by: its own definition, else the snapshot's; for SIMPLE else one with defaults.
    pub definition: Option<Arc<TaskDef>>,
    pub input: Template,
    /// The definition's input template, which fills what the input lacks.
    pub input_template: Option<Arc<Template>>,
    /// Present when the definition has the `agent` key.
    pub agent: Option<Arc<AgentTemplate>>,
    /// Texts with expressions beside the input, by the name of their field.
    pub texts: Vec<(&'static str, Template)>,
    /// The loops around it, the outermost first.
    pub loops: Arc<[NodeId]>,
    pub block: BlockId,
    pub position: u32,
    /// The joins that wait for this step.
    pub watchers: Vec<NodeId>,
    pub kind: Kind,
    /// `step` as JSON.
    pub step_json: Written,
    /// `definition` as JSON.
    pub definition_json: Written,
}

/// What a step has beside, by its type.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Nothing.
    Leaf,
    Fork {
        branches: Vec<BlockId>,
    },
    /// Its branches are found when it is reached.
    DynamicFork,
    Join {
        /// The steps that must be finished, each once.
        waits_for: Vec<NodeId>,
        /// The steps whose outputs it gathers.
        gathers: Vec<NodeId>,
        /// The dynamic fork whose branches it waits for.
        fork: Option<NodeId>,
    },
    ExclusiveJoin {
        /// The steps of which the first counts, in order; then those that count when none of them comes.
        candidates: Vec<NodeId>,
        /// The same, each once.
        waits_for: Vec<NodeId>,
    },
    Switch {
        /// `None` = an empty case: nothing happens.
        cases: BTreeMap<String, Option<BlockId>>,
        default: Option<BlockId>,
    },
    Loop {
        body: BlockId,
        /// The steps in it, at any depth.
        nodes: Range<u32>,
    },
}

impl Kind {
    /// Whether it counts the steps that it waits for.
    pub fn is_join(&self) -> bool {
        matches!(self, Self::Join { .. } | Self::ExclusiveJoin { .. })
    }

    /// The steps that it waits for and that the plan knows.
    pub fn waits_for(&self) -> &[NodeId] {
        match self {
            Self::Join { waits_for, .. } | Self::ExclusiveJoin { waits_for, .. } => waits_for,
            Self::Leaf | Self::Fork { .. } | Self::DynamicFork | Self::Switch { .. } | Self::Loop { .. } => &[],
        }
    }
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
    /// The step that it belongs to; none for the workflow itself and for branches of dynamic forks.
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
    /// A round of a loop.
    Body,
    /// A branch of a dynamic fork.
    Dynamic(usize),
}

impl Node {
    /// A text beside the input.
    pub fn text(&self, field: &str) -> Option<&Template> {
        self.texts.iter().find(|(name, _)| *name == field).map(|(_, template)| template)
    }
}

impl Plan {
    /// Checks the definitions and works out every step's place. All that is wrong is said at once: references used twice,
    /// forks without a join, joins and expressions that name no step, cases without an expression, limits passed.
    ///
    /// # Errors
    /// [`PlanError::Invalid`] with one violation for each fault.
    pub fn compile(snapshot: Arc<Snapshot>) -> Result<Self, PlanError> {
        compile::compile(snapshot, false).map_err(PlanError::Invalid)
    }

    /// As [`Plan::compile`], of what a workflow runs by already: it goes on, although an older program may have taken what
    /// would be refused by now.
    ///
    /// # Errors
    /// [`PlanError::Invalid`] when it cannot be run at all.
    pub fn of_stored(snapshot: Arc<Snapshot>) -> Result<Self, PlanError> {
        compile::compile(snapshot, true).map_err(PlanError::Invalid)
    }

    /// The definitions it was made from.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The step with this reference, which may be that of a round of a loop. Branches of dynamic forks are not part of it:
    /// see [`crate::Run::step_of`].
    #[must_use]
    pub fn step(&self, reference: &str) -> Option<&Arc<WorkflowTask>> {
        self.find_base(reference).map(|id| &self.node(id).step)
    }

    /// What the step with this reference runs by: its own definition, else the one of its name. SIMPLE steps have one of
    /// defaults without retries otherwise, others `None`.
    #[must_use]
    pub fn definition(&self, reference: &str) -> Option<&Arc<TaskDef>> {
        self.find_base(reference).and_then(|id| self.node(id).definition.as_ref())
    }

    /// [`Plan::step`] as JSON, which is written once: it is shown with every task of the step.
    #[must_use]
    pub fn step_json(&self, reference: &str) -> Option<&RawValue> {
        let node = self.node(self.find_base(reference)?);
        Some(node.step_json.once(&node.step))
    }

    /// [`Plan::definition`] as JSON, which is written once: it is shown with every task of the step.
    #[must_use]
    pub fn definition_json(&self, reference: &str) -> Option<&RawValue> {
        let node = self.node(self.find_base(reference)?);
        node.definition.as_ref().map(|definition| node.definition_json.once(definition))
    }

    /// How many steps it has, over all levels.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.nodes.len()
    }

    /// The step of a reference, without the numbers of its rounds.
    fn find_base(&self, reference: &str) -> Option<NodeId> {
        let mut base = reference;
        loop {
            if let Some(id) = self.find(base) {
                return Some(id);
            }
            let (before, number) = base.rsplit_once("__")?;
            number.parse::<u32>().ok()?;
            base = before;
        }
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

    /// The branches of a dynamic fork, where it is a plan of such.
    pub(crate) fn branches(&self) -> impl Iterator<Item = &Block> + Clone {
        self.blocks.iter().filter(|block| matches!(block.place, BlockPlace::Dynamic(_)))
    }

    /// The references of all its steps.
    pub(crate) fn references(&self) -> impl Iterator<Item = &Arc<str>> {
        self.nodes.iter().map(|node| &node.reference)
    }
}
