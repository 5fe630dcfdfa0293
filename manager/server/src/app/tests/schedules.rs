//! Workflows that start by the calendar.

use conductor_model::{Schedule, ScheduleRunState};
use serde_json::json;

use super::stage::Stage;
use super::*;

fn schedule(fields: &Value) -> Schedule {
    let mut schedule = json!({ "name": "s", "startWorkflowRequest": { "name": "one", "input": { "x": 1 } } });
    schedule.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(schedule).unwrap()
}

fn put(stage: &mut Stage, fields: &Value) {
    let schedule = Box::new(schedule(fields));
    stage.ask(|reply| Message::PutSchedule { tenant: tenant(), schedule, reply }).unwrap();
}

fn next(stage: &mut Stage) -> Option<Timestamp> {
    let schedules = stage.ask(|reply| Message::Schedules { tenant: tenant(), reply }).unwrap();
    schedules[0].next_run_time
}

/// The moments that were acted on, oldest first.
fn moments(stage: &Stage) -> Vec<Timestamp> {
    let mut runs = stage.store.schedule_runs(&tenant(), None, 1000).unwrap();
    runs.reverse();
    runs.iter().map(|run| run.scheduled_time).collect()
}

fn started(stage: &Stage) -> Vec<WorkflowRecord> {
    let page = conductor_store::Page { before: None, offset: 0, limit: 1000 };
    stage.store.workflows(&tenant(), &Default::default(), page).unwrap()
}

/// A stage at a full minute, with a workflow to start.
fn ready() -> Stage {
    let stage = Stage::new();
    stage.define(json!([]), json!({ "name": "one", "tasks": [{ "name": "step", "taskReferenceName": "a" }] }));
    stage.pass_ms(60_000 - stage.now().0.rem_euclid(60_000));
    stage
}

#[test]
fn a_workflow_starts_at_every_due_moment_to_the_millisecond() {
    let mut stage = ready();
    put(&mut stage, &json!({ "cronExpression": "0/10 * * * * *" }));
    let begin = stage.now();
    for _ in 0..60_000 {
        stage.pass_ms(1);
        stage.round();
    }
    let expected: Vec<_> = (1..=6).map(|n| begin.plus_ms(n * 10_000)).collect();
    assert_eq!(moments(&stage), expected);
    let workflows = started(&stage);
    let mut times: Vec<_> = workflows.iter().map(|workflow| workflow.created_at).collect();
    times.sort_unstable();
    assert_eq!(times, expected);
    let input = &workflows[0].input;
    assert_eq!((&input["x"], &input["_startedByScheduler"]), (&json!(1), &json!("s")));
    assert_eq!(next(&mut stage), Some(begin.plus_ms(70_000)));
}

#[test]
fn a_moment_starts_its_workflow_once_however_often_the_manager_is_killed() {
    let mut stage = ready();
    put(&mut stage, &json!({ "cronExpression": "0/10 * * * * *" }));
    for second in 0..40 {
        stage.pass_ms(1_000);
        if second % 7 == 3 {
            // Nothing of this round is kept.
            stage.store.fail_next_batches(1);
        }
        stage.round();
        stage.round();
        if second % 5 == 4 {
            stage = stage.killed();
        }
    }
    stage.round();
    let moments = moments(&stage);
    let mut once = moments.clone();
    once.dedup();
    assert_eq!(moments, once);
    assert_eq!(moments.len(), 4);
    assert_eq!(started(&stage).len(), 4);
}

#[test]
fn moments_missed_for_long_are_skipped_unless_they_are_to_be_made_up_for() {
    for (catch_up, runs) in [(false, 0), (true, 30)] {
        let mut stage = ready();
        put(&mut stage, &json!({ "cronExpression": "0 */2 * * * *", "runCatchupScheduleInstances": catch_up }));
        // Away for an hour; the last moment passed 65 seconds ago.
        let minute = stage.now().0 / 60_000 % 2;
        stage.pass_ms(3_600_000 + (2 - minute) * 60_000 + 65_000);
        let mut stage = stage.killed();
        for _ in 0..100 {
            stage.round();
        }
        let found = moments(&stage).len();
        assert!((runs..=runs + 1).contains(&found), "{found} with catch-up {catch_up}");
        assert!(next(&mut stage).unwrap() > stage.now());
    }
}

#[test]
fn a_short_absence_costs_no_moment() {
    let mut stage = ready();
    put(&mut stage, &json!({ "cronExpression": "0 * * * * *" }));
    let due = stage.now().plus_ms(60_000);
    stage.pass_ms(65_000);
    let mut stage = stage.killed();
    stage.round();
    assert_eq!(moments(&stage), [due]);
}

#[test]
fn a_schedule_rests_ends_and_is_removed() {
    let mut stage = ready();
    let name = || "s".to_owned();
    let end = stage.now().plus_ms(60_000);
    put(&mut stage, &json!({ "cronExpression": "0/10 * * * * *", "scheduleEndTime": end }));
    let pause = |paused| move |reply| Message::PauseSchedule { tenant: tenant(), name: name(), paused, reason: None, reply };
    stage.ask(pause(true)).unwrap();
    stage.pass_ms(25_000);
    stage.round();
    assert_eq!(moments(&stage), []);
    stage.ask(pause(false)).unwrap();
    stage.pass_ms(5_000);
    stage.round();
    assert_eq!(moments(&stage).len(), 1);
    for _ in 0..10 {
        stage.pass_ms(10_000);
        stage.round();
    }
    assert_eq!(moments(&stage).len(), 4, "none after its end");
    assert_eq!(next(&mut stage), None);
    stage.ask(|reply| Message::DeleteSchedule { tenant: tenant(), name: name(), reply }).unwrap();
    let gone = stage.ask(|reply| Message::DeleteSchedule { tenant: tenant(), name: name(), reply }).unwrap_err();
    assert_eq!(gone.to_string(), "no such schedule: s");
    assert!(stage.store.open_work().unwrap().schedules.is_empty());
}

#[test]
fn the_schedules_of_a_tenant_rest_together_over_restarts_and_disturb_nobody_elses() {
    let mut stage = ready();
    let other: TenantName = "other".parse().unwrap();
    let definition = stage.store.workflow_def(&tenant(), "one", None).unwrap().unwrap();
    stage.store.put_workflow_defs(&other, vec![definition], true).unwrap();
    put(&mut stage, &json!({ "cronExpression": "0/10 * * * * *" }));
    let theirs = Box::new(schedule(&json!({ "cronExpression": "0/10 * * * * *" })));
    stage.ask(|reply| Message::PutSchedule { tenant: other.clone(), schedule: theirs, reply }).unwrap();
    let pause = |paused| move |reply| Message::PauseScheduler { tenant: tenant(), paused, reply };
    stage.ask(pause(true)).unwrap();
    let pass = |stage: &mut Stage| {
        stage.pass_ms(10_000);
        stage.round();
    };
    pass(&mut stage);
    let mut stage = stage.killed();
    pass(&mut stage);
    assert_eq!(moments(&stage), []);
    assert_eq!(stage.store.schedule_runs(&other, None, 10).unwrap().len(), 2);
    stage.ask(pause(false)).unwrap();
    let mut stage = stage.killed();
    pass(&mut stage);
    assert!(!moments(&stage).is_empty());
}

#[test]
fn a_workflow_that_cannot_be_started_is_noted_and_the_schedule_goes_on() {
    let mut stage = ready();
    put(&mut stage, &json!({ "cronExpression": "0/10 * * * * *" }));
    stage.store.delete_workflow_def(&tenant(), "one", 1, "test", Timestamp(0)).unwrap();
    stage.handle.tell(Message::DefinitionsChanged);
    for _ in 0..2 {
        stage.pass_ms(10_000);
        stage.round();
    }
    let runs = stage.store.schedule_runs(&tenant(), Some("s"), 10).unwrap();
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0].state, ScheduleRunState::Failed);
    assert!(runs[0].reason.as_deref().unwrap().contains("no workflow definition one"), "{runs:?}");
}

#[tokio::test]
async fn a_schedule_is_checked_when_it_is_stored() {
    let world = World::new();
    world.define(json!([]), json!({ "name": "one", "tasks": [{ "name": "step", "taskReferenceName": "a" }] })).await;
    for (fields, says) in [
        (json!({}), "cronExpression"),
        (json!({ "cronExpression": "every day" }), "cronExpression"),
        (json!({ "cronExpression": "0 0 0 * * *", "zoneId": "Mars/Olympus" }), "zoneId"),
        (json!({ "cronSchedules": [{ "cronExpression": "0 0 0 * * *", "zoneId": "x" }] }), "cronSchedules[0].zoneId"),
        (json!({ "cronExpression": "0 0 0 * * *", "scheduleStartTime": 2, "scheduleEndTime": 1 }), "scheduleEndTime"),
        (json!({ "cronExpression": "0 0 0 * * *", "startWorkflowRequest": { "name": "two" } }), "two"),
    ] {
        let refused = world.app.put_schedule(&tenant(), schedule(&fields), "me").await.unwrap_err().to_string();
        assert!(refused.contains(says), "{fields}: {refused}");
    }
    world.app.put_schedule(&tenant(), schedule(&json!({ "cronExpression": "0 0 0 * * *" })), "me").await.unwrap();
    assert_eq!(world.app.schedule(&tenant(), "s").await.unwrap().created_by.as_deref(), Some("me"));
}
