use std::collections::{BTreeMap, HashSet};

use conductor_model::{AgentId, AgentRecord, AgentState, Cordon, Selector, TenantName, Timestamp};
use proptest::prelude::*;
use serde_json::json;

use crate::{Candidate, Misfit, Placement, Request, Unplaced, place, place_with_buffer};

fn agent(id: &str, role: &str, slots: u32) -> AgentRecord {
    AgentRecord {
        id: id.parse().unwrap(),
        tenant: TenantName::default_tenant(),
        name: id.to_owned(),
        state: AgentState::Active,
        state_reason: None,
        labels: BTreeMap::from([("role".to_owned(), role.to_owned())]),
        facts: json!({"memory": {"total": 1 << 30}}).as_object().unwrap().clone(),
        slots,
        version: "0.1.0".to_owned(),
        protocol: 1,
        incarnation: "i".to_owned(),
        registered_at: Timestamp(0),
        last_seen_at: Timestamp(0),
        cordon: None,
    }
}

/// Asks for a place among `fleet`: agents with the number of their tasks.
fn ask(fleet: &[(AgentRecord, usize)], requires: &str, target: Option<&str>, buffer: usize) -> Result<Placement, Unplaced> {
    let tenant = TenantName::default_tenant();
    let requires: Option<Selector> = (!requires.is_empty()).then(|| requires.parse().unwrap());
    let target: Option<AgentId> = target.map(|target| target.parse().unwrap());
    let excluded = HashSet::from(["shy".parse().unwrap()]);
    let request = Request { tenant: &tenant, requires: requires.as_ref(), target: target.as_ref(), excluded: &excluded };
    let candidates: Vec<Candidate<'_>> = fleet.iter().map(|(agent, claims)| Candidate { agent, claims: *claims }).collect();
    place_with_buffer(&request, &candidates, 0, buffer)
}

fn chosen(answer: Result<Placement, Unplaced>) -> Vec<String> {
    let placement = answer.unwrap();
    std::iter::once(&placement.agent).chain(&placement.alternates).map(ToString::to_string).collect()
}

#[test]
fn the_least_loaded_agent_that_fits_is_chosen() {
    let fleet = [(agent("a", "web", 4), 2), (agent("b", "web", 8), 3), (agent("c", "web", 2), 1), (agent("d", "db", 9), 0)];
    // b has 3/8; a and c have half each, c fewer tasks.
    assert_eq!(chosen(ask(&fleet, "role=web", None, 0)), ["b", "c", "a"]);
    assert_eq!(chosen(ask(&fleet, "", None, 0)), ["d", "b", "c", "a"]);
    assert_eq!(chosen(ask(&fleet, "", Some("a"), 0)), ["a"]);
    assert_eq!(chosen(ask(&fleet, "fact:memory.total>=1GiB,role in (db)", None, 0)), ["d"]);
}

#[test]
fn buffer_places_are_taken_last() {
    let fleet = [(agent("small", "web", 1), 1), (agent("big", "web", 4), 3)];
    assert_eq!(chosen(ask(&fleet, "", None, 2)), ["big", "small"]);
    let full = [(agent("small", "web", 1), 1), (agent("big", "web", 4), 4)];
    assert!(ask(&full, "", None, 0).is_err());
    assert_eq!(chosen(ask(&full, "", None, 2)), ["small", "big"]);
    assert!(ask(&[(agent("none", "web", 0), 0)], "", None, 5).is_err());
}

#[test]
fn at_most_four_alternates_are_carried() {
    let fleet: Vec<_> = (0..20).map(|n| (agent(&format!("a{n}"), "web", 20), n)).collect();
    assert_eq!(chosen(ask(&fleet, "", None, 0)), ["a0", "a1", "a2", "a3", "a4"]);
}

#[test]
fn equals_take_turns() {
    let fleet: Vec<_> = (0..3).map(|n| agent(&format!("a{n}"), "web", 4)).collect();
    let tenant = TenantName::default_tenant();
    let excluded = HashSet::new();
    let request = Request { tenant: &tenant, requires: None, target: None, excluded: &excluded };
    let candidates: Vec<Candidate<'_>> = fleet.iter().map(|agent| Candidate { agent, claims: 1 }).collect();
    let mut counts: BTreeMap<AgentId, u32> = BTreeMap::new();
    for spread in 0..300 {
        *counts.entry(place(&request, &candidates, spread).unwrap().agent).or_default() += 1;
    }
    assert!(counts.len() == 3 && counts.values().all(|count| *count > 50), "{counts:?}");
}

#[test]
fn an_explanation_counts_and_names() {
    let mut offline = agent("a1", "web", 4);
    offline.state = AgentState::Offline;
    let mut foreign = agent("z9", "web", 4);
    foreign.tenant = "other".parse().unwrap();
    let fleet = [(offline, 0), (agent("a2", "db", 4), 0), (agent("a3", "web", 2), 2), (foreign, 0)];
    let unplaced = ask(&fleet, "role=web", None, 0).unwrap_err();
    assert_eq!(unplaced.summary, "3 agents: 1 offline, 1 lacks role=web, 1 has no free slot");
    assert_eq!(unplaced.counts, BTreeMap::from([(Misfit::Offline, 1), (Misfit::Lacks, 1), (Misfit::Full, 1)]));
    assert_eq!(
        serde_json::to_value(&unplaced.agents).unwrap(),
        json!([
            {"agent": "a1", "filter": "offline", "reason": "is offline"},
            {"agent": "a2", "filter": "lacks", "reason": "lacks role=web (has \"db\")"},
            {"agent": "a3", "filter": "full", "reason": "has no free slot (2 of 2 taken)"},
        ])
    );
    assert!(serde_json::to_value(&unplaced).unwrap()["counts"]["offline"] == 1);
}

#[test]
fn a_cordoned_agent_is_passed_over_and_the_operators_reason_is_told() {
    let mut cordoned = agent("a1", "web", 4);
    cordoned.cordon = Some(Cordon { reason: Some("new disk".to_owned()), since: Timestamp(1) });
    let placed = ask(&[(cordoned.clone(), 0), (agent("a2", "web", 4), 3)], "role=web", None, 0).unwrap();
    assert_eq!((placed.agent.as_str(), placed.alternates.len()), ("a2", 0));
    let unplaced = ask(&[(cordoned, 0)], "role=web", None, 0).unwrap_err();
    assert_eq!(unplaced.summary, "1 agent: 1 cordoned");
    assert_eq!(unplaced.agents[0].reason, "is cordoned: new disk");
}

#[test]
fn explanations_of_targets_and_empty_fleets_are_plain() {
    let mut draining = agent("a1", "web", 4);
    draining.state = AgentState::Draining;
    draining.state_reason = Some("no space left".to_owned());
    let fleet = [(draining, 0), (agent("shy", "web", 4), 0)];
    let summary = |target| ask(&fleet, "", target, 0).unwrap_err().summary;
    assert_eq!(summary(Some("a1")), "the target a1 is draining");
    assert_eq!(ask(&fleet, "", Some("a1"), 0).unwrap_err().agents[0].reason, "is draining: no space left");
    assert_eq!(summary(Some("shy")), "the target shy refused it before");
    assert_eq!(summary(Some("ghost")), "the target ghost is not registered");
    assert_eq!(summary(None), "2 agents: 1 refused it before, 1 draining");
    assert_eq!(ask(&[], "", None, 0).unwrap_err().summary, "no agents are registered");
}

proptest! {
    /// Whoever is chosen fits, and nobody who fits is less loaded; the order of the candidates does not matter.
    #[test]
    fn the_choice_is_right_and_independent_of_order(
        loads in prop::collection::vec((0_usize..6, 0_u32..5, any::<bool>()), 0..12),
        spread in any::<u64>(),
        buffer in 0_usize..3,
    ) {
        let fleet: Vec<(AgentRecord, usize)> = loads
            .iter()
            .enumerate()
            .map(|(n, (claims, slots, web))| (agent(&format!("a{n}"), if *web { "web" } else { "db" }, *slots), *claims))
            .collect();
        let tenant = TenantName::default_tenant();
        let requires: Selector = "role=web".parse().unwrap();
        let excluded = HashSet::new();
        let request = Request { tenant: &tenant, requires: Some(&requires), target: None, excluded: &excluded };
        let mut candidates: Vec<Candidate<'_>> =
            fleet.iter().map(|(agent, claims)| Candidate { agent, claims: *claims }).collect();
        let answer = place_with_buffer(&request, &candidates, spread, buffer);
        candidates.reverse();
        prop_assert_eq!(&answer, &place_with_buffer(&request, &candidates, spread, buffer));

        let fits = |(agent, claims): &&(AgentRecord, usize)| {
            agent.labels["role"] == "web" && agent.slots > 0 && *claims < agent.slots as usize + buffer
        };
        match answer {
            Ok(placement) => {
                let (agent, claims) = fleet.iter().find(|(agent, _)| agent.id == placement.agent).unwrap();
                prop_assert!(fits(&&(agent.clone(), *claims)));
                for (other, others_claims) in fleet.iter().filter(fits) {
                    prop_assert!(claims * other.slots as usize <= others_claims * agent.slots as usize);
                }
                prop_assert_eq!(placement.alternates.len(), (fleet.iter().filter(fits).count() - 1).min(4));
            }
            Err(unplaced) => {
                prop_assert_eq!(fleet.iter().filter(fits).count(), 0);
                prop_assert_eq!(unplaced.counts.values().sum::<usize>(), fleet.len());
            }
        }
    }
}
