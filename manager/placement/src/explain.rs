//! Why no agent fits, for people and programs.

use std::collections::BTreeMap;
use std::fmt;

use conductor_model::AgentId;
use serde::Serialize;

use crate::{Candidate, Request, misfit};

/// Most agents that an explanation names one by one; the counts are of all.
const AGENTS_NAMED_MAX: usize = 100;

/// Why an agent cannot have a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Misfit {
    /// Another tenant's. Not told of one by one.
    Tenant,
    /// The task is meant for another agent.
    Target,
    /// It would not take the task before.
    Excluded,
    /// Takes nothing new.
    Draining,
    /// Its lease ran out.
    Offline,
    /// An operator wants it to be given nothing new.
    Cordoned,
    /// Speaks a protocol outside the manager's window.
    Unsupported,
    /// Two hosts speak in its name.
    Quarantined,
    /// A required label or fact.
    Lacks,
    /// No free slot.
    Full,
}

/// Why no agent fits, for people and programs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unplaced {
    /// One sentence, as in `3 agents: 1 offline, 1 lacks role=web, 1 has no free slot`.
    pub summary: String,
    /// How many agents each filter held back.
    pub counts: BTreeMap<Misfit, usize>,
    /// The agents one by one, at most 100 of them, by id.
    pub agents: Vec<AgentReason>,
}

/// Why one agent does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AgentReason {
    /// Which agent.
    pub agent: AgentId,
    /// Which filter held it back.
    pub filter: Misfit,
    /// In words, as in `lacks role=web (has "db")`.
    pub reason: String,
}

impl fmt::Display for Unplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)
    }
}

/// Explains why none of the candidates fits.
pub(crate) fn explain(request: &Request<'_>, candidates: &[Candidate<'_>], buffer: usize) -> Unplaced {
    let mut counts = BTreeMap::new();
    // What agents have in common is counted together: state and filter, and for labels the requirement.
    let mut groups: BTreeMap<(Misfit, String), usize> = BTreeMap::new();
    let mut agents = Vec::new();
    let mut of_tenant = 0;
    for candidate in candidates {
        let Some(filter) = misfit(request, candidate, buffer).filter(|filter| *filter != Misfit::Tenant) else {
            continue;
        };
        of_tenant += 1;
        *counts.entry(filter).or_default() += 1;
        *groups.entry((filter, common(request, candidate, filter))).or_default() += 1;
        agents.push((candidate, filter));
    }
    agents.sort_unstable_by(|(one, _), (two, _)| one.agent.id.cmp(&two.agent.id));
    let agents = agents
        .into_iter()
        .take(AGENTS_NAMED_MAX)
        .map(|(candidate, filter)| AgentReason {
            agent: candidate.agent.id.clone(),
            filter,
            reason: reason(request, candidate, filter),
        })
        .collect();
    Unplaced { summary: summary(request, of_tenant, &groups), counts, agents }
}

fn summary(request: &Request<'_>, of_tenant: usize, groups: &BTreeMap<(Misfit, String), usize>) -> String {
    if of_tenant == 0 {
        return match request.target {
            Some(target) => format!("no agents: {target} is not registered"),
            None => "no agents are registered".to_owned(),
        };
    }
    if let Some(target) = request.target {
        let fate = groups.keys().find(|(filter, _)| *filter != Misfit::Target);
        return match fate {
            Some((filter, what)) => format!("the target {target} {}", phrase(*filter, what, 1)),
            None => format!("the target {target} is not registered"),
        };
    }
    let parts: Vec<String> =
        groups.iter().map(|((filter, what), count)| format!("{count} {}", phrase_counted(*filter, what, *count))).collect();
    format!("{of_tenant} agent{}: {}", if of_tenant == 1 { "" } else { "s" }, parts.join(", "))
}

/// What agents that are held back by the same filter have in common.
fn common(request: &Request<'_>, candidate: &Candidate<'_>, filter: Misfit) -> String {
    let agent = candidate.agent;
    let lacks = request.requires.filter(|_| filter == Misfit::Lacks);
    lacks.and_then(|requires| requires.first_mismatch(&agent.labels, &agent.facts)).map(ToString::to_string).unwrap_or_default()
}

/// With a number before it, as in `1 offline`.
fn phrase_counted(filter: Misfit, what: &str, count: usize) -> String {
    match filter {
        Misfit::Offline => "offline".to_owned(),
        Misfit::Draining => "draining".to_owned(),
        Misfit::Cordoned => "cordoned".to_owned(),
        Misfit::Tenant
        | Misfit::Target
        | Misfit::Excluded
        | Misfit::Unsupported
        | Misfit::Quarantined
        | Misfit::Lacks
        | Misfit::Full => phrase(filter, what, count),
    }
}

/// As a part of a sentence about `count` agents.
fn phrase(filter: Misfit, what: &str, count: usize) -> String {
    let one = count == 1;
    match filter {
        Misfit::Tenant => format!("belong{} to another tenant", if one { "s" } else { "" }),
        Misfit::Target => format!("{} not the target", if one { "is" } else { "are" }),
        Misfit::Excluded => "refused it before".to_owned(),
        Misfit::Draining => "is draining".to_owned(),
        Misfit::Offline => "is offline".to_owned(),
        Misfit::Cordoned => "is cordoned".to_owned(),
        Misfit::Quarantined => format!("{} quarantined, because two hosts speak in one name", if one { "is" } else { "are" }),
        Misfit::Unsupported => format!("speak{} a protocol that this manager does not", if one { "s" } else { "" }),
        Misfit::Lacks => format!("lack{} {what}", if one { "s" } else { "" }),
        Misfit::Full => format!("{} no free slot", if one { "has" } else { "have" }),
    }
}

/// About one agent alone.
fn reason(request: &Request<'_>, candidate: &Candidate<'_>, filter: Misfit) -> String {
    let agent = candidate.agent;
    match filter {
        Misfit::Full => format!("has no free slot ({} of {} taken)", candidate.claims, agent.slots),
        Misfit::Lacks => request
            .requires
            .and_then(|requires| requires.matches(&agent.labels, &agent.facts).err())
            .map(|mismatch| mismatch.to_string())
            .unwrap_or_default(),
        Misfit::Cordoned => match agent.cordon.as_ref().and_then(|cordon| cordon.reason.as_deref()) {
            Some(reason) => format!("is cordoned: {reason}"),
            None => phrase(filter, "", 1),
        },
        Misfit::Draining => match agent.state_reason.as_deref() {
            Some(reason) => format!("{}: {reason}", phrase(filter, "", 1)),
            None => phrase(filter, "", 1),
        },
        Misfit::Tenant | Misfit::Target | Misfit::Excluded | Misfit::Offline | Misfit::Unsupported | Misfit::Quarantined => {
            phrase(filter, "", 1)
        }
    }
}
