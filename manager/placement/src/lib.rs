//! Choosing the agent for a task: filter → weigh → choose + alternates, with an explanation. Pure.
//!
//! - Filters, in this order: tenant, target, excluded, state, cordon, required labels and facts, free slots.
//! - Weights: agents with a free slot before those that would only keep the task waiting (see [`place_with_buffer`]); then
//!   the least loaded by tasks per slot; then the one with the fewest tasks; equals are shuffled by the caller's number.
//! - A placement reads every candidate once and allocates only its answer. Why nothing fits is worked out only then.
//!
//! **Invariant:** the same request, candidates (in any order) and number give the same answer.

mod explain;

#[cfg(test)]
mod tests;

pub use explain::{AgentReason, Misfit, Unplaced};

use std::cmp::Ordering;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};

use conductor_model::limits::ALTERNATES_MAX;
use conductor_model::{AgentId, AgentRecord, AgentState, Selector, TenantName};
use rustc_hash::FxHasher;

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
    /// Runners-up, best first; at most [`ALTERNATES_MAX`].
    pub alternates: Vec<AgentId>,
}

/// Chooses an agent with a free slot. `spread` decides between equals.
///
/// # Errors
/// [`Unplaced`] when none fits.
pub fn place(request: &Request<'_>, candidates: &[Candidate<'_>], spread: u64) -> Result<Placement, Unplaced> {
    place_with_buffer(request, candidates, spread, 0)
}

/// Chooses an agent. Beyond its slots an agent may be given up to `buffer` tasks that wait at it, so that it has its next
/// task at hand when a slot becomes free; such places are only taken when no agent has a free slot.
///
/// # Errors
/// [`Unplaced`] when none fits.
pub fn place_with_buffer(
    request: &Request<'_>,
    candidates: &[Candidate<'_>],
    spread: u64,
    buffer: usize,
) -> Result<Placement, Unplaced> {
    let mut best: Vec<(Weight, &AgentId)> = Vec::with_capacity(ALTERNATES_MAX + 1);
    for candidate in candidates {
        if misfit(request, candidate, buffer).is_some() {
            continue;
        }
        let id = &candidate.agent.id;
        let weight = Weight::of(candidate, spread);
        let at = best.partition_point(|(other, other_id)| other.cmp(&weight).then_with(|| other_id.cmp(&id)) == Ordering::Less);
        if at > ALTERNATES_MAX {
            continue;
        }
        if best.len() > ALTERNATES_MAX {
            best.pop();
        }
        best.insert(at, (weight, id));
    }
    let mut ids = best.into_iter().map(|(_, id)| id.clone());
    match ids.next() {
        Some(agent) => Ok(Placement { agent, alternates: ids.collect() }),
        None => Err(explain::explain(request, candidates, buffer)),
    }
}

/// Why an agent cannot have the task; none = it can.
pub(crate) fn misfit(request: &Request<'_>, candidate: &Candidate<'_>, buffer: usize) -> Option<Misfit> {
    let agent = candidate.agent;
    if agent.tenant != *request.tenant {
        return Some(Misfit::Tenant);
    }
    if request.target.is_some_and(|target| agent.id != *target) {
        return Some(Misfit::Target);
    }
    if request.excluded.contains(&agent.id) {
        return Some(Misfit::Excluded);
    }
    match agent.state {
        AgentState::Active => {}
        AgentState::Draining => return Some(Misfit::Draining),
        AgentState::Offline => return Some(Misfit::Offline),
        AgentState::Unsupported => return Some(Misfit::Unsupported),
        AgentState::Quarantined => return Some(Misfit::Quarantined),
    }
    if agent.cordon.is_some() {
        return Some(Misfit::Cordoned);
    }
    if request.requires.is_some_and(|requires| requires.first_mismatch(&agent.labels, &agent.facts).is_some()) {
        return Some(Misfit::Lacks);
    }
    // An agent without slots takes nothing, not even to keep it waiting.
    let places = if agent.slots == 0 { 0 } else { (agent.slots as usize).saturating_add(buffer) };
    (candidate.claims >= places).then_some(Misfit::Full)
}

/// Less is better.
#[derive(Debug)]
struct Weight {
    waits: bool,
    claims: u64,
    slots: u64,
    shuffle: u64,
}

impl Weight {
    fn of(candidate: &Candidate<'_>, spread: u64) -> Self {
        let mut hasher = FxHasher::default();
        candidate.agent.id.hash(&mut hasher);
        let shuffle = mix(hasher.finish() ^ mix(spread));
        let (claims, slots) = (candidate.claims as u64, u64::from(candidate.agent.slots));
        Self { waits: claims >= slots, claims, slots, shuffle }
    }

    fn cmp(&self, other: &Self) -> Ordering {
        let load = |one: &Self, two: &Self| u128::from(one.claims) * u128::from(two.slots);
        self.waits
            .cmp(&other.waits)
            .then_with(|| load(self, other).cmp(&load(other, self)))
            .then_with(|| self.claims.cmp(&other.claims))
            .then_with(|| self.shuffle.cmp(&other.shuffle))
    }
}

/// Spreads neighbouring numbers over the whole range (the finishing step of SplitMix64): the hasher alone is too even.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
