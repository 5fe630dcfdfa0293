//! Who goes first of those that wait for the same: priorities, and that nobody waits for ever.

use serde_json::json;

use super::stage::Stage;
use super::*;
use crate::app::core::UpdateOrder;

/// What a step of priority is worth, in ms of waiting.
const STEP_MS: i64 = 60_000;

fn stage() -> Stage {
    let stage = Stage::new();
    stage.define(json!([]), json!({ "name": "work", "tasks": [{ "name": "step", "taskReferenceName": "s" }] }));
    stage
}

/// The priorities of the tasks that a worker is given, which asks for so many.
fn given(stage: &mut Stage, count: usize) -> Vec<u8> {
    let mut polled = stage.poll("step", count, 0);
    stage.round();
    polled.try_recv().unwrap().unwrap().into_iter().map(|handed| handed.task.priority).collect()
}

#[test]
fn of_tasks_that_came_together_those_of_higher_priority_go_first_and_then_the_older() {
    let mut stage = stage();
    for priority in [1, 99, 0, 7] {
        stage.start_with_priority("work", priority);
    }
    assert_eq!(given(&mut stage, 10), [99, 7, 1, 0]);
}

#[test]
fn one_that_has_waited_a_minute_longer_for_each_step_of_priority_goes_first_also_across_a_restart() {
    for (longer_ms, expected) in [(3 * STEP_MS - 1, [3, 0]), (3 * STEP_MS + 1, [0, 3])] {
        for restarts in [false, true] {
            let mut stage = stage();
            stage.start_with_priority("work", 0);
            stage.pass_ms(longer_ms);
            stage.start_with_priority("work", 3);
            if restarts {
                stage = stage.killed();
            }
            assert_eq!(given(&mut stage, 2), expected, "after {longer_ms} ms, restarts: {restarts}");
        }
    }
}

#[test]
fn a_task_has_its_turn_while_others_of_higher_priority_keep_coming() {
    let mut stage = stage();
    stage.start_with_priority("work", 0);
    let mut before = 0;
    loop {
        stage.start_with_priority("work", 5);
        if given(&mut stage, 1) == [0] {
            break;
        }
        before += 1;
        assert!(before <= 5 * STEP_MS / 1000, "as many as came while it was worth less");
        stage.pass_ms(1000);
    }
    assert_eq!(before, 5 * STEP_MS / 1000);
}

#[test]
fn what_a_worker_gives_back_waits_from_the_moment_from_which_it_may_be_had_again() {
    let mut stage = Stage::new();
    let definition = json!({ "name": "step", "retryCount": 1, "retryDelaySeconds": 600 });
    stage.define(json!([definition]), json!({ "name": "work", "tasks": [{ "name": "step", "taskReferenceName": "s" }] }));
    stage.start_with_priority("work", 0);
    let mut polled = stage.poll("step", 1, 0);
    stage.round();
    let task = polled.try_recv().unwrap().unwrap()[0].task.id;
    let update = update(task, WorkerStatus::Failed);
    stage.ask(|reply| Message::Update(UpdateOrder { tenant: tenant(), update, claimed: None, next_for: None, reply })).unwrap();
    stage.pass_ms(600_000);
    stage.start_with_priority("work", 1);
    assert_eq!(given(&mut stage, 2), [1, 0], "ten minutes of delay are none of waiting");
}

#[test]
fn a_run_that_waits_for_its_turn_has_it_while_others_of_higher_priority_keep_coming() {
    let mut stage = Stage::new();
    let limit = json!({ "rateLimitKey": "all", "concurrentExecLimit": 1 });
    let steps = json!([{ "name": "step", "taskReferenceName": "s" }]);
    stage.define(json!([]), json!({ "name": "work", "tasks": steps, "rateLimitConfig": limit }));
    stage.start_with_priority("work", 9);
    stage.start_with_priority("work", 0);
    stage.pass_ms(2 * STEP_MS - 1);
    stage.start_with_priority("work", 2);
    stage.pass_ms(2);
    stage.start_with_priority("work", 2);
    stage = stage.killed();
    let mut order = Vec::new();
    for _ in 0..4 {
        let mut polled = stage.poll("step", 10, 0);
        stage.round();
        let out = polled.try_recv().unwrap().unwrap();
        order.extend(out.iter().map(|handed| handed.task.priority));
        stage.complete(out[0].task.id);
    }
    assert_eq!(order, [9, 2, 0, 2]);
}
