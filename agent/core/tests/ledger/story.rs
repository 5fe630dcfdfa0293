//! Stories of single tasks.

use crate::common::{agent, cancel, envelope, finished, idempotent, keys_started, now, offer, outcomes, task};
use conductor_agent_core::{Admission, Effect, Fate, Input, Ledger, ProcessMark, Record, Step, TaskKey};
use conductor_model::{Outcome, Timestamp};
use conductor_wire::amqp::TaskEnvelope;

const MARK: ProcessMark = ProcessMark { pid: 4711, start_ticks: 99 };

#[test]
fn a_task_is_journalled_started_reported_and_remembered() {
    let mut ledger = Ledger::new(1);
    let step = offer(&mut ledger, task(1));
    assert_eq!(step.admission, Some(Admission::Accepted));
    assert!(matches!(step.journal[..], [Record::Received(_), Record::Starting { .. }]));
    assert_eq!(keys_started(&step), [TaskKey::of(&task(1))]);

    let step = ledger.apply(Input::Started { key: TaskKey::of(&task(1)), process: MARK }, now());
    assert!(matches!(step.journal[..], [Record::Running { .. }]));

    let step = ledger.apply(finished(1, 1, Outcome::Succeeded), now());
    assert!(matches!(step.journal[..], [Record::Done { .. }]));
    assert_eq!(outcomes(&step), [(1, 1, Outcome::Succeeded)]);
    assert_eq!(ledger.leased().len(), 1, "ours until the broker has confirmed it");

    let step = ledger.apply(Input::Confirmed(vec![TaskKey::of(&task(1))]), now());
    assert!(matches!(step.journal[..], [Record::Reported { .. }]));
    assert!(ledger.leased().is_empty());

    let step = offer(&mut ledger, task(1));
    assert_eq!(step.admission, Some(Admission::Duplicate));
    assert!(matches!(step.effects[..], [Effect::Say(_)]), "a late copy hears the result again");
    assert!(step.journal.is_empty());
}

#[test]
fn an_order_for_an_earlier_journal_is_left_alone() {
    let order = |incarnation: &str| TaskEnvelope { incarnation: Some(incarnation.to_owned()), ..task(1) };
    let (mut ledger, _) = Ledger::recover(1, []).of_journal("new".to_owned()).resume(now(), |_| Fate::Gone);
    let step = offer(&mut ledger, order("old"));
    assert_eq!(step.admission, Some(Admission::Stale));
    assert!(step.journal.is_empty() && step.effects.is_empty());
    assert_eq!(offer(&mut ledger, order("new")).admission, Some(Admission::Accepted));
    assert_eq!(offer(&mut ledger, task(2)).admission, Some(Admission::Accepted), "a manager that names no journal means any");
}

#[test]
fn a_copy_of_a_running_task_changes_nothing() {
    let mut ledger = Ledger::new(1);
    offer(&mut ledger, task(1));
    let step = offer(&mut ledger, task(1));
    assert_eq!(step.admission, Some(Admission::Duplicate));
    assert!(step.journal.is_empty() && step.effects.is_empty());
}

#[test]
fn those_that_find_no_slot_wait_in_order() {
    let mut ledger = Ledger::new(2);
    let started: Vec<_> = (1..=4).map(|number| keys_started(&offer(&mut ledger, task(number))).len()).collect();
    assert_eq!(started, [1, 1, 0, 0]);
    assert_eq!(ledger.free_slots(), 0);
    let step = ledger.apply(finished(2, 1, Outcome::Failed), now());
    assert_eq!(keys_started(&step), [TaskKey::of(&task(3))]);
}

#[test]
fn a_cancel_ends_what_waits_at_once_and_what_runs_by_its_runner() {
    let mut ledger = Ledger::new(1);
    offer(&mut ledger, task(1));
    offer(&mut ledger, task(2));
    let step = ledger.apply(cancel(2, 1), now());
    assert_eq!(outcomes(&step), [(2, 1, Outcome::Cancelled)]);
    let step = ledger.apply(cancel(1, 1), now());
    assert!(matches!(&step.effects[..], [Effect::Stop { reason, .. }] if reason == "nobody wants it"));
    let step = ledger.apply(finished(1, 1, Outcome::Cancelled), now());
    assert!(keys_started(&step).is_empty(), "the cancelled one does not start");
}

#[test]
fn a_task_that_waited_too_long_is_not_begun() {
    let mut ledger = Ledger::new(1);
    offer(&mut ledger, task(1));
    let mut late = envelope(2, 1);
    late.start_before = Some(Timestamp(now().manager.0 - 1));
    offer(&mut ledger, late);
    let step = ledger.apply(finished(1, 1, Outcome::Succeeded), now());
    assert_eq!(outcomes(&step), [(1, 1, Outcome::Succeeded), (2, 1, Outcome::Refused)]);
    assert_eq!(ledger.occupied(), 0);
}

#[test]
fn a_later_dispatch_takes_the_place_of_a_running_one() {
    let mut ledger = Ledger::new(1);
    offer(&mut ledger, task(1));
    let step = offer(&mut ledger, envelope(1, 2));
    assert_eq!(step.admission, Some(Admission::Accepted));
    assert!(matches!(&step.effects[..], [Effect::Stop { key, .. }] if key.dispatch == 1));
    assert_eq!(offer(&mut ledger, task(1)).admission, Some(Admission::Stale));
    let step = ledger.apply(finished(1, 1, Outcome::Cancelled), now());
    assert!(outcomes(&step).is_empty(), "nobody asks for the earlier one any more");
    assert_eq!(keys_started(&step), [TaskKey { dispatch: 2, ..TaskKey::of(&task(1)) }]);
}

#[test]
fn a_known_result_answers_for_a_later_dispatch() {
    let mut ledger = Ledger::new(1);
    offer(&mut ledger, task(1));
    ledger.apply(finished(1, 1, Outcome::Succeeded), now());
    let step = offer(&mut ledger, envelope(1, 2));
    assert_eq!(outcomes(&step), [(1, 2, Outcome::Succeeded)]);
    assert!(keys_started(&step).is_empty());
}

#[test]
fn a_draining_agent_takes_and_starts_nothing() {
    let mut ledger = Ledger::new(1);
    offer(&mut ledger, task(1));
    offer(&mut ledger, task(2));
    ledger.apply(Input::Drain, now());
    assert_eq!(offer(&mut ledger, task(3)).admission, Some(Admission::GivenBack));
    assert!(ledger.is_draining());
    let step = ledger.apply(finished(1, 1, Outcome::Succeeded), now());
    assert!(keys_started(&step).is_empty());
    assert!(!ledger.is_settled());
    ledger.apply(Input::Confirmed(vec![TaskKey::of(&task(1))]), now());
    assert!(ledger.is_settled(), "what was accepted and not begun stays in the journal");
}

#[test]
fn a_failed_journal_refuses_new_tasks_until_it_works_again() {
    let mut ledger = Ledger::new(1);
    ledger.apply(Input::JournalFailed("disk full".into()), now());
    let step = offer(&mut ledger, task(1));
    assert_eq!(step.admission, Some(Admission::Refused));
    assert!(step.journal.is_empty());
    assert_eq!(outcomes(&step), [(1, 1, Outcome::Refused)]);
    ledger.apply(Input::JournalRecovered, now());
    assert_eq!(offer(&mut ledger, task(1)).admission, Some(Admission::Accepted));
}

#[test]
fn after_a_crash_nothing_runs_twice_unless_it_may() {
    let (mut first, mut journal) = agent(3);
    for envelope in [task(1), idempotent(2), task(3), task(4)] {
        journal.extend(first.apply(Input::Offer(Box::new(envelope)), now()).journal);
    }
    journal.extend(first.apply(Input::Started { key: TaskKey::of(&task(1)), process: MARK }, now()).journal);
    journal.extend(first.apply(finished(3, 1, Outcome::Succeeded), now()).journal);
    drop(first);
    // 1 runs, 2 is starting and idempotent, 3 is done, 4 has taken the slot of 3.
    let recovered = Ledger::recover(1, journal);
    let mut orphans: Vec<_> = recovered.all_orphans().iter().map(|o| (o.key.task_id.0.as_u128(), o.process)).collect();
    orphans.sort_unstable_by_key(|(number, _)| *number);
    assert_eq!(orphans, [(1, Some(MARK)), (2, None), (4, None)]);
    let (ledger, step) = recovered.resume(now(), |_| Fate::Gone);
    assert_eq!(outcomes(&step), [(3, 1, Outcome::Succeeded), (1, 1, Outcome::Lost), (4, 1, Outcome::Lost)]);
    assert_eq!(keys_started(&step), [TaskKey::of(&task(2))]);
    assert_eq!(ledger.leased().len(), 4);
}

#[test]
fn a_task_that_kills_its_agent_is_not_begun_for_ever() {
    let (mut ledger, mut journal) = agent(1);
    journal.extend(ledger.apply(Input::Offer(Box::new(idempotent(1))), now()).journal);
    for _ in 0..conductor_agent_core::limits::RERUNS_MAX {
        let (_, step) = Ledger::recover(1, journal.clone()).resume(now(), |_| Fate::Gone);
        assert_eq!(keys_started(&step).len(), 1);
        journal.extend(step.journal);
    }
    let (_, step) = Ledger::recover(1, journal).resume(now(), |_| Fate::Gone);
    assert_eq!(outcomes(&step), [(1, 1, Outcome::Lost)]);
}

#[test]
fn what_is_stored_is_not_stored_again_after_a_crash() {
    let (mut ledger, mut journal) = agent(1);
    journal.extend(ledger.apply(Input::Offer(Box::new(task(1))), now()).journal);
    let Input::Exited { key, mut result } = finished(1, 1, Outcome::Succeeded) else { panic!("an exit is made") };
    let stored = result.clone();
    result.properties.insert("url".into(), "http://localhost".into());
    journal.extend(ledger.apply(Input::Exited { key, result }, now()).journal);
    let properties = |journal: &[Record]| {
        let (_, step) = Ledger::recover(1, journal.to_vec()).resume(now(), |_| Fate::Gone);
        let [Effect::Deliver { result, .. }] = &step.effects[..] else { panic!("the result is delivered again") };
        result.properties.len()
    };
    assert_eq!(properties(&journal), 1);
    let step = ledger.apply(Input::Stored { key, result: stored }, now());
    assert_eq!(outcomes(&step), [(1, 1, Outcome::Succeeded)]);
    journal.extend(step.journal);
    assert_eq!(properties(&journal), 0);
}

#[test]
fn what_the_runner_has_goes_on_and_what_never_came_to_it_begins() {
    let (mut first, mut journal) = agent(2);
    for envelope in [task(1), task(2), task(3)] {
        journal.extend(first.apply(Input::Offer(Box::new(envelope)), now()).journal);
    }
    drop(first);
    let fate = |key| if key == TaskKey::of(&task(1)) { Fate::Runs } else { Fate::NotBegun };
    let (mut ledger, step) = Ledger::recover(2, journal).resume(now(), fate);
    assert_eq!(outcomes(&step), []);
    assert_eq!(keys_started(&step), [TaskKey::of(&task(2))], "the slot of the one that runs stays taken");
    let step = ledger.apply(finished(1, 1, Outcome::Succeeded), now());
    assert_eq!(outcomes(&step), [(1, 1, Outcome::Succeeded)]);
    assert_eq!(keys_started(&step), [TaskKey::of(&task(3))]);
}

#[test]
fn a_task_whose_runner_is_gone_is_lost_or_begins_again() {
    let (mut ledger, _) = agent(2);
    offer(&mut ledger, task(1));
    offer(&mut ledger, idempotent(2));
    let step = ledger.apply(Input::Abandoned(TaskKey::of(&task(1))), now());
    assert_eq!(outcomes(&step), [(1, 1, Outcome::Lost)]);
    let step = ledger.apply(Input::Abandoned(TaskKey::of(&task(2))), now());
    assert_eq!((outcomes(&step), keys_started(&step)), (vec![], vec![TaskKey::of(&task(2))]));
    assert_eq!(ledger.occupied(), 1);
    let step = ledger.apply(Input::Abandoned(TaskKey::of(&task(1))), now());
    assert!(step.effects.is_empty(), "it is told once");
}

#[test]
fn an_orderly_end_of_the_runner_is_for_a_task_what_a_power_cut_is() {
    let (mut ledger, mut journal) = agent(2);
    for envelope in [task(1), idempotent(2)] {
        journal.extend(offer(&mut ledger, envelope).journal);
    }
    ledger.apply(Input::Drain, now());
    let step = ledger.apply(finished(1, 1, Outcome::Lost), now());
    assert_eq!(outcomes(&step), [(1, 1, Outcome::Lost)], "what may not run again is told as lost");
    journal.extend(step.journal);
    let step = ledger.apply(finished(2, 1, Outcome::Lost), now());
    assert_eq!((outcomes(&step), keys_started(&step)), (vec![], vec![]), "an agent that ends begins nothing");
    assert_eq!((ledger.leased().len(), ledger.occupied()), (2, 0), "it is still this agent's task");
    journal.extend(step.journal);
    let (mut ledger, step) = Ledger::recover(2, journal).resume(now(), |_| Fate::Gone);
    assert_eq!(keys_started(&step), [TaskKey::of(&task(2))], "the next life begins it again");
    assert_eq!(keys_started(&ledger.apply(finished(2, 1, Outcome::Lost), now())), [TaskKey::of(&task(2))]);
    let reruns = (2..=conductor_agent_core::limits::RERUNS_MAX).map(|_| ledger.apply(finished(2, 1, Outcome::Lost), now()));
    assert_eq!(reruns.last().map(|step| outcomes(&step)), Some(vec![(2, 1, Outcome::Lost)]), "but not for ever");
}

#[test]
fn without_a_runner_an_agent_delivers_what_it_has_begins_nothing_and_forgets_nothing() {
    let (mut first, mut journal) = agent(2);
    for envelope in [task(1), task(2), task(3), task(4)] {
        journal.extend(offer(&mut first, envelope).journal);
    }
    journal.extend(first.apply(finished(1, 1, Outcome::Succeeded), now()).journal);
    drop(first);
    // 1 is done, 2 and 3 were begun, 4 waits.
    let (mut ledger, step) = Ledger::recover(2, journal).wait_for_runner();
    assert_eq!((outcomes(&step), keys_started(&step)), (vec![(1, 1, Outcome::Succeeded)], vec![]));
    ledger.apply(Input::RunnerAway(Some("its runner cannot be reached".into())), now());
    assert_eq!(ledger.trouble(), Some("its runner cannot be reached"));
    let step = offer(&mut ledger, task(5));
    assert_eq!((step.admission, outcomes(&step)), (Some(Admission::Refused), vec![(5, 1, Outcome::Refused)]));
    assert_eq!(offer(&mut ledger, task(2)).admission, Some(Admission::Duplicate), "what it has it is not given again");
    ledger.apply(Input::Confirmed(vec![TaskKey::of(&task(1))]), now());
    assert_eq!((ledger.leased().len(), ledger.occupied()), (3, 2));

    // A later dispatch of 3 comes; then the runner, which has 2 alone.
    assert_eq!(offer(&mut ledger, envelope(3, 2)).admission, Some(Admission::Accepted));
    let fate = |key| if key == TaskKey::of(&task(2)) { Fate::Runs } else { Fate::Gone };
    let step = ledger.meet_runner(now(), fate);
    ledger.apply(Input::RunnerAway(None), now());
    assert_eq!(ledger.trouble(), None);
    assert_eq!(keys_started(&step), [TaskKey { dispatch: 2, ..TaskKey::of(&task(3)) }]);
    assert_eq!((outcomes(&step), ledger.occupied()), (vec![], 2));
}

#[test]
fn a_host_that_is_short_of_something_is_given_nothing_until_it_is_not() {
    let mut ledger = Ledger::new(1);
    ledger.apply(Input::HostShort(Some("its disk is full".into())), now());
    assert_eq!(offer(&mut ledger, task(1)).admission, Some(Admission::Refused));
    assert_eq!(ledger.trouble(), Some("its disk is full"));
    ledger.apply(Input::HostShort(None), now());
    assert_eq!(offer(&mut ledger, task(1)).admission, Some(Admission::Accepted));
}

#[test]
fn results_are_told_again_in_the_order_in_which_their_tasks_ended() {
    let (mut ledger, mut journal) = agent(2);
    for number in [1, 2] {
        journal.extend(offer(&mut ledger, task(number)).journal);
    }
    for (number, ended_at) in [(2, 10), (1, 20)] {
        let Input::Exited { key, mut result } = finished(number, 1, Outcome::Succeeded) else { panic!("a result") };
        result.finished.ended_at = Timestamp(ended_at);
        journal.extend(ledger.apply(Input::Exited { key, result }, now()).journal);
    }
    let in_order = [(2, 1, Outcome::Succeeded), (1, 1, Outcome::Succeeded)];
    assert_eq!(outcomes(&Step { effects: ledger.unconfirmed(), ..Step::default() }), in_order);
    let (_, step) = Ledger::recover(2, journal).wait_for_runner();
    assert_eq!(outcomes(&step), in_order, "also by another life of the agent");
}
