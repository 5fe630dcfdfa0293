//! What a run adds to its plan: rounds of loops, and branches of dynamic forks.
//!
//! A **frame** is a plan that is being followed once more: frame 0 is the workflow itself; each round of a DO_WHILE is a
//! frame of the same plan, of which only the loop's body is used; the branches of a FORK_JOIN_DYNAMIC are a frame of a plan
//! of their own. A step of a run is a [`Site`]: which step of the plan, in which frame. So that a round costs nothing but
//! its frame, and flow, joins and settling know nothing of loops.
//!
//! References of steps in a round end with `__` and its number, once for each loop around it. Frames are made again from
//! the references of the records when a run is loaded.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::plan::{BlockPlace, Node, NodeId, Plan};

/// A frame, by its index in its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FrameId(u32);

/// A step of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Site {
    pub frame: FrameId,
    pub node: NodeId,
}

impl Site {
    /// A step outside of loops and dynamic branches.
    pub fn root(node: NodeId) -> Self {
        Self { frame: FrameId(0), node }
    }

    /// Another step of the same frame.
    pub fn with(self, node: NodeId) -> Self {
        Self { node, ..self }
    }

    /// Whether it is outside of loops and dynamic branches.
    pub fn is_root(self) -> bool {
        self.frame == FrameId(0)
    }
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Frame {
    pub plan: Arc<Plan>,
    /// What its references end with.
    pub suffix: Arc<str>,
    /// The number of the innermost round, from 1; 0 outside of loops.
    pub round: u32,
    /// The DO_WHILE or FORK_JOIN_DYNAMIC that it belongs to.
    pub owner: Option<Site>,
    /// How many of the loops around its steps it is inside of.
    depth: usize,
}

/// What comes behind a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// This step.
    Step(Site),
    /// The switch that this was the last step of a case of is finished.
    EndOfCase(Site),
    /// The loop that this was the last step of a round of.
    EndOfRound(Site),
    /// The dynamic fork that this was the last step of a branch of.
    EndOfBranch(Site),
    /// Nothing: a branch, or the workflow, is at its end.
    End,
}

/// The frames of a run.
#[derive(Debug)]
pub(crate) struct Frames {
    all: Vec<Frame>,
    rounds: FxHashMap<(Site, u32), FrameId>,
    forks: FxHashMap<Site, FrameId>,
    /// The steps of dynamic branches by their references.
    names: FxHashMap<Arc<str>, Site>,
}

impl Frames {
    /// The workflow itself.
    pub fn new(plan: Arc<Plan>) -> Self {
        let root = Frame { plan, suffix: Arc::from(""), round: 0, owner: None, depth: 0 };
        Self { all: vec![root], rounds: FxHashMap::default(), forks: FxHashMap::default(), names: FxHashMap::default() }
    }

    pub fn get(&self, id: FrameId) -> &Frame {
        &self.all[id.0 as usize]
    }

    pub fn node(&self, site: Site) -> &Node {
        self.get(site.frame).plan.node(site.node)
    }

    /// How a step is called in this run.
    pub fn reference(&self, site: Site) -> Arc<str> {
        let frame = self.get(site.frame);
        let base = &frame.plan.node(site.node).reference;
        if frame.suffix.is_empty() { Arc::clone(base) } else { Arc::from(format!("{base}{}", frame.suffix)) }
    }

    /// The frame of a round of a loop; made where there is none.
    pub fn round(&mut self, owner: Site, number: u32) -> FrameId {
        if let Some(id) = self.rounds.get(&(owner, number)) {
            return *id;
        }
        let around = self.get(owner.frame);
        let frame = Frame {
            plan: Arc::clone(&around.plan),
            suffix: Arc::from(format!("{}__{number}", around.suffix)),
            round: number,
            owner: Some(owner),
            depth: around.depth + 1,
        };
        let id = self.add(frame);
        self.rounds.insert((owner, number), id);
        id
    }

    /// The frame of a round of a loop, where there is one.
    pub fn find_round(&self, owner: Site, number: u32) -> Option<FrameId> {
        self.rounds.get(&(owner, number)).copied()
    }

    /// Adds the branches of a dynamic fork.
    pub fn add_fork(&mut self, fork: Site, plan: Arc<Plan>) -> FrameId {
        let around = self.get(fork.frame);
        let frame = Frame { plan, suffix: Arc::clone(&around.suffix), round: around.round, owner: Some(fork), depth: 0 };
        let id = self.add(frame);
        for index in 0..self.get(id).plan.steps() {
            let site = Site { frame: id, node: NodeId(u32::try_from(index).unwrap_or(u32::MAX)) };
            self.names.insert(self.reference(site), site);
        }
        self.forks.insert(fork, id);
        id
    }

    /// The frame of the branches of a dynamic fork that was reached.
    pub fn fork(&self, fork: Site) -> Option<FrameId> {
        self.forks.get(&fork).copied()
    }

    fn add(&mut self, frame: Frame) -> FrameId {
        let id = FrameId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        self.all.push(frame);
        id
    }

    /// Whether a step of this reference is there, apart from rounds.
    pub fn knows(&self, reference: &str) -> bool {
        self.all[0].plan.find(reference).is_some() || self.names.contains_key(reference)
    }

    /// The step that a record's reference names. Makes frames of rounds where there are none.
    pub fn resolve(&mut self, reference: &str) -> Option<Site> {
        let site = self.resolve_part(reference)?;
        self.loop_around(site).is_none().then_some(site)
    }

    /// As [`Self::resolve`], where not each loop has its round yet.
    fn resolve_part(&mut self, reference: &str) -> Option<Site> {
        if let Some(node) = self.all[0].plan.find(reference) {
            return Some(Site::root(node));
        }
        if let Some(site) = self.names.get(reference) {
            return Some(*site);
        }
        let (before, number) = reference.rsplit_once("__")?;
        let number = number.parse().ok().filter(|number| *number > 0)?;
        let site = self.resolve_part(before)?;
        let frame = self.round(self.loop_around(site)?, number);
        Some(Site { frame, ..site })
    }

    /// The outermost loop around a step of which its frame is no round.
    fn loop_around(&self, site: Site) -> Option<Site> {
        let frame = self.get(site.frame);
        frame.plan.node(site.node).loops.get(frame.depth).map(|around| site.with(*around))
    }

    /// What comes behind a step that is finished.
    pub fn next(&self, site: Site) -> Next {
        let frame = self.get(site.frame);
        let node = frame.plan.node(site.node);
        let block = frame.plan.block(node.block);
        if let Some(next) = block.nodes.get(node.position as usize + 1) {
            return Next::Step(site.with(*next));
        }
        match (&block.place, block.parent, frame.owner) {
            (BlockPlace::Case(_) | BlockPlace::Default, Some(switch), _) => Next::EndOfCase(site.with(switch)),
            (BlockPlace::Body, _, Some(owner)) => Next::EndOfRound(owner),
            (BlockPlace::Dynamic(_), _, Some(owner)) => Next::EndOfBranch(owner),
            _ => Next::End,
        }
    }

    /// The steps of the dynamic branches of a fork that are the last of theirs.
    pub fn branch_ends(&self, fork: Site) -> impl Iterator<Item = Site> {
        self.fork(fork).into_iter().flat_map(|frame| {
            let ends = self.get(frame).plan.branches().filter_map(|block| block.nodes.last());
            ends.map(move |node| Site { frame, node: *node })
        })
    }
}
