//! Choosing the agent for a task: filter → weigh → choose + alternates, with an explanation. Pure.

use std::collections::HashSet;

use conductor_model::{AgentId, AgentRecord, AgentState, Selector, TenantName};
use serde::Serialize;

/// What a task asks of an agent.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Only agents of this tenant.
    pub tenant: &'a TenantName,
    /// Required labels and facts.
    pub requires: Option<&'a Selector>,
    /// The only agent that may have it.
    pub target: Option<&'a AgentId>,
    /// Agents that must not have it, because they would not take it before.
    pub excluded: &'a HashSet<AgentId>,
}

/// An agent that may be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The agent.
    pub agent: &'a AgentRecord,
    /// Tasks that it has now.
    pub claims: usize,
}

/// Where a task goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The chosen agent.
    pub agent: AgentId,
    /// Runners-up, best first.
    pub alternates: Vec<AgentId>,
}

/// Why no agent fits, for people and programs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unplaced {
    /// One sentence, as in `3 agents: 1 offline, 1 lacks role=web, 1 has no free slot`.
    pub summary: String,
}

/// Chooses an agent. `spread` decides between equals.
///
/// # Errors
/// [`Unplaced`] when none fits.
pub fn place(request: &Request<'_>, candidates: &[Candidate<'_>], spread: u64) -> Result<Placement, Unplaced> {
    let _ = spread;
    candidates
        .iter()
        .filter(|candidate| candidate.agent.tenant == *request.tenant && candidate.agent.state == AgentState::Active)
        .filter(|candidate| request.target.is_none_or(|target| candidate.agent.id == *target))
        .filter(|candidate| !request.excluded.contains(&candidate.agent.id))
        .filter(|candidate| candidate.claims < candidate.agent.slots as usize)
        .min_by_key(|candidate| candidate.claims)
        .map(|candidate| Placement { agent: candidate.agent.id.clone(), alternates: Vec::new() })
        .ok_or_else(|| Unplaced { summary: "no agent fits".to_owned() })
}
