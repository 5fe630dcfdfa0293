//! What joins wait for.

use std::sync::Arc;

use super::{Block, BlockPlace, Compiler, Kind, NodeId};

impl Compiler {
    /// Works out what each join waits for and tells the steps.
    pub(super) fn wire_joins(&mut self) {
        for index in 0..self.nodes.len() {
            let join = NodeId(u32::try_from(index).unwrap_or(u32::MAX));
            let kind = match self.nodes[index].kind {
                Kind::Join { .. } => self.join_targets(join),
                Kind::ExclusiveJoin { .. } => self.exclusive_targets(join),
                _ => continue,
            };
            for target in kind.waits_for() {
                self.nodes[target.0 as usize].watchers.push(join);
                self.watch(*target);
            }
            self.nodes[index].kind = kind;
        }
        for block in &mut self.blocks {
            block.watched.sort_unstable();
            block.watched.dedup();
        }
    }

    /// Tells the cases around a step that some join waits for it: they can be left out.
    fn watch(&mut self, target: NodeId) {
        let mut block = Some(self.nodes[target.0 as usize].block);
        while let Some(id) = block {
            let Block { parent, place, watched, .. } = &mut self.blocks[id.0 as usize];
            match place {
                BlockPlace::Case(_) | BlockPlace::Default => watched.push(target),
                // Nobody outside of a round waits for what is in it.
                BlockPlace::Body => return,
                BlockPlace::Workflow | BlockPlace::Branch(_) | BlockPlace::Dynamic(_) => {}
            }
            block = parent.map(|parent| self.nodes[parent.0 as usize].block);
        }
    }

    fn join_targets(&mut self, join: NodeId) -> Kind {
        let before = self.before(join);
        if let Some(fork) = before.filter(|fork| matches!(self.nodes[fork.0 as usize].kind, Kind::DynamicFork)) {
            return Kind::Join { waits_for: Vec::new(), gathers: Vec::new(), fork: Some(fork) };
        }
        if self.nodes[join.0 as usize].step.join_on.is_empty() {
            let ends = before.map(|fork| self.branch_ends(fork)).unwrap_or_default();
            return Kind::Join { waits_for: ends.clone(), gathers: ends, fork: None };
        }
        let step = Arc::clone(&self.nodes[join.0 as usize].step);
        let gathers = self.named(join, "joinOn", &step.join_on);
        let mut waits_for = Vec::new();
        for target in &gathers {
            match self.nodes[target.0 as usize].kind {
                Kind::Fork { .. } => waits_for.extend(self.branch_ends(*target)),
                _ => waits_for.push(*target),
            }
        }
        waits_for.sort_unstable();
        waits_for.dedup();
        Kind::Join { waits_for, gathers, fork: None }
    }

    fn exclusive_targets(&mut self, join: NodeId) -> Kind {
        let step = Arc::clone(&self.nodes[join.0 as usize].step);
        let mut candidates = self.named(join, "joinOn", &step.join_on);
        candidates.extend(self.named(join, "defaultExclusiveJoinTask", &step.default_exclusive_join_task));
        let mut waits_for = candidates.clone();
        waits_for.sort_unstable();
        waits_for.dedup();
        Kind::ExclusiveJoin { candidates, waits_for }
    }

    /// The steps that a join names.
    fn named(&mut self, join: NodeId, field: &str, names: &[String]) -> Vec<NodeId> {
        let mut targets = Vec::with_capacity(names.len());
        for (index, name) in names.iter().enumerate() {
            let fault = match self.by_reference.get(name.as_str()).copied() {
                None => "names no step of this workflow",
                Some(target) if self.nodes[target.0 as usize].loops != self.nodes[join.0 as usize].loops => {
                    "names a step of another loop; a join waits for steps of its own round"
                }
                Some(target) if matches!(self.nodes[target.0 as usize].kind, Kind::DynamicFork) => {
                    "names a dynamic fork; name the JOIN behind it"
                }
                Some(target) => {
                    targets.push(target);
                    continue;
                }
            };
            let path = format!("{}.{field}[{index}]", self.node_path(join));
            self.fault(path, fault, Some(name.clone()));
        }
        targets
    }

    /// The step before this one in its block.
    pub(super) fn before(&self, id: NodeId) -> Option<NodeId> {
        let node = &self.nodes[id.0 as usize];
        let position = node.position.checked_sub(1)?;
        self.blocks[node.block.0 as usize].nodes.get(position as usize).copied()
    }

    /// Whether the step before this one is a fork.
    pub fn follows_fork(&self, id: NodeId) -> bool {
        let before = self.before(id).map(|before| &self.nodes[before.0 as usize].kind);
        matches!(before, Some(Kind::Fork { .. } | Kind::DynamicFork))
    }

    /// The last steps of a fork's branches.
    fn branch_ends(&self, fork: NodeId) -> Vec<NodeId> {
        match &self.nodes[fork.0 as usize].kind {
            Kind::Fork { branches } => {
                branches.iter().filter_map(|branch| self.blocks[branch.0 as usize].nodes.last().copied()).collect()
            }
            _ => Vec::new(),
        }
    }
}
