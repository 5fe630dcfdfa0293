//! Whatever happens in whatever order: slots are kept, nothing starts twice, nothing is forgotten, and a crash at any moment
//! changes none of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::{cancel, envelope, finished, now, outcomes};
use conductor_agent_core::{Admission, Effect, Fate, Input, Ledger, ProcessMark, Record, Step, TaskKey};
use conductor_model::Outcome;
use proptest::prelude::*;

/// Slots of the agent in all runs.
const SLOTS: u32 = 3;

#[derive(Clone, Debug)]
enum Move {
    Offer {
        task: u128,
        dispatch: u32,
        idempotent: bool,
    },
    Cancel {
        task: u128,
        dispatch: u32,
    },
    Start {
        nth: usize,
    },
    Exit {
        nth: usize,
        outcome: Outcome,
    },
    Confirm {
        nth: usize,
    },
    Crash,
    /// The agent dies, and its runner goes on.
    Restart,
    Drain,
}

fn moves() -> impl Strategy<Value = Move> {
    let outcome = prop::sample::select(vec![Outcome::Succeeded, Outcome::Failed, Outcome::Cancelled, Outcome::Lost]);
    prop_oneof![
        6 => (1..12_u128, 1..4_u32, any::<bool>())
            .prop_map(|(task, dispatch, idempotent)| Move::Offer { task, dispatch, idempotent }),
        1 => (1..12_u128, 1..4_u32).prop_map(|(task, dispatch)| Move::Cancel { task, dispatch }),
        3 => any::<usize>().prop_map(|nth| Move::Start { nth }),
        5 => (any::<usize>(), outcome).prop_map(|(nth, outcome)| Move::Exit { nth, outcome }),
        4 => any::<usize>().prop_map(|nth| Move::Confirm { nth }),
        1 => Just(Move::Crash),
        1 => Just(Move::Restart),
        1 => Just(Move::Drain),
    ]
}

/// What a perfect observer knows.
#[derive(Default)]
struct World {
    journal: Vec<Record>,
    /// Tasks that the ledger has started and that have not exited, by key.
    running: BTreeSet<TaskKey>,
    /// Starts by key in this life of the agent.
    starts: BTreeMap<TaskKey, u32>,
    may_run_again: BTreeSet<TaskKey>,
    /// Results that were told and not confirmed.
    told: BTreeSet<TaskKey>,
    accepted: BTreeSet<TaskKey>,
    confirmed: BTreeSet<TaskKey>,
    draining: bool,
}

impl World {
    fn follow(&mut self, step: Step) {
        self.journal.extend(step.journal);
        for effect in step.effects {
            match effect {
                Effect::Start(envelope) => {
                    let key = TaskKey::of(&envelope);
                    let starts = self.starts.entry(key).or_default();
                    *starts += 1;
                    assert!(*starts == 1 || self.may_run_again.contains(&key), "{key:?} was started twice");
                    assert!(!self.draining, "{key:?} was started by a draining agent");
                    assert!(self.running.insert(key), "{key:?} runs already");
                }
                Effect::Deliver { envelope, .. } => drop(self.told.insert(TaskKey::of(&envelope))),
                Effect::Stop { key, .. } => assert!(self.running.contains(&key), "{key:?} does not run"),
                Effect::Say(_) => {}
            }
        }
        assert!(self.running.len() <= SLOTS as usize, "more tasks run than there are slots");
    }

    fn nth(set: &BTreeSet<TaskKey>, nth: usize) -> Option<TaskKey> {
        set.iter().nth(nth.checked_rem(set.len())?).copied()
    }
}

fn play(moves: Vec<Move>) {
    let mut ledger = Ledger::new(SLOTS);
    let mut world = World::default();
    for one in moves {
        match one {
            Move::Offer { task, dispatch, idempotent } => {
                let mut envelope = envelope(task, dispatch);
                envelope.idempotent = idempotent;
                let key = TaskKey::of(&envelope);
                let step = ledger.apply(Input::Offer(Box::new(envelope)), now());
                if step.admission == Some(Admission::Accepted) {
                    assert!(!world.draining || world.accepted.iter().any(|known| known.task_id == key.task_id));
                    assert!(world.accepted.insert(key), "{key:?} was accepted twice");
                    if idempotent {
                        world.may_run_again.insert(key);
                    }
                }
                world.follow(step);
            }
            Move::Cancel { task, dispatch } => {
                let step = ledger.apply(cancel(task, dispatch), now());
                world.follow(step);
            }
            Move::Start { nth } => {
                if let Some(key) = World::nth(&world.running, nth) {
                    let process = ProcessMark { pid: 1, start_ticks: 1 };
                    world.follow(ledger.apply(Input::Started { key, process }, now()));
                }
            }
            Move::Exit { nth, outcome } => {
                if let Some(key) = World::nth(&world.running, nth) {
                    world.running.remove(&key);
                    let number = key.task_id.0.as_u128();
                    world.follow(ledger.apply(finished(number, key.dispatch, outcome), now()));
                }
            }
            Move::Confirm { nth } => {
                if let Some(key) = World::nth(&world.told, nth) {
                    world.told.remove(&key);
                    world.confirmed.insert(key);
                    world.follow(ledger.apply(Input::Confirmed(vec![key]), now()));
                }
            }
            Move::Crash => ledger = crash(&mut world, false),
            Move::Restart => ledger = crash(&mut world, true),
            Move::Drain => {
                world.draining = true;
                world.follow(ledger.apply(Input::Drain, now()));
            }
        }
        check(&ledger, &world);
    }
    finish(&mut ledger, &mut world);
}

/// The agent dies, with all its processes unless they go on in the runner, and comes back with its journal.
fn crash(world: &mut World, goes_on: bool) -> Ledger {
    let runs = if goes_on { std::mem::take(&mut world.running) } else { BTreeSet::new() };
    world.running.clear();
    world.draining = false;
    let recovered = Ledger::recover(SLOTS, world.journal.clone());
    let fate = |key| if runs.contains(&key) { Fate::Runs } else { Fate::Gone };
    let (ledger, step) = recovered.resume(now(), fate);
    // What the runner has and the ledger does not know is ended.
    world.running = ledger.begun().iter().map(|envelope| TaskKey::of(envelope)).filter(|key| runs.contains(key)).collect();
    let told: BTreeSet<_> = outcomes(&step).into_iter().map(|(task, dispatch, _)| (task, dispatch)).collect();
    for key in &world.told {
        let superseded = world.accepted.iter().any(|other| other.task_id == key.task_id && other.dispatch > key.dispatch);
        assert!(superseded || told.contains(&(key.task_id.0.as_u128(), key.dispatch)), "{key:?} was forgotten");
    }
    world.follow(step);
    ledger
}

/// Every accepted task is leased until its result is confirmed, or a later dispatch has taken its place.
fn check(ledger: &Ledger, world: &World) {
    assert_eq!(ledger.occupied() as usize, world.running.len());
    let leased: BTreeMap<_, _> = ledger.leased().into_iter().collect();
    for key in world.accepted.difference(&world.confirmed) {
        let latest = world.accepted.iter().filter(|other| other.task_id == key.task_id).map(|other| other.dispatch).max();
        if latest == Some(key.dispatch) {
            assert_eq!(leased.get(&key.task_id), Some(&key.dispatch), "{key:?} is in no lease");
        }
    }
}

/// Let everything end: every task that is still ours gets a result, once an agent that may start things has them.
fn finish(ledger: &mut Ledger, world: &mut World) {
    if world.draining {
        *ledger = crash(world, false);
    }
    while let Some(key) = World::nth(&world.running, 0) {
        world.running.remove(&key);
        let step = ledger.apply(finished(key.task_id.0.as_u128(), key.dispatch, Outcome::Succeeded), now());
        world.follow(step);
    }
    let open: Vec<_> = ledger
        .unconfirmed()
        .iter()
        .filter_map(|effect| match effect {
            Effect::Deliver { envelope, .. } => Some(TaskKey::of(envelope)),
            Effect::Start(_) | Effect::Stop { .. } | Effect::Say(_) => None,
        })
        .collect();
    assert_eq!(open.len(), ledger.leased().len(), "a task is held that neither runs nor has a result");
    let step = ledger.apply(Input::Confirmed(open), now());
    world.follow(step);
    assert!(ledger.leased().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens(moves in prop::collection::vec(moves(), 0..120)) {
        play(moves);
    }
}
