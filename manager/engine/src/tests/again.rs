//! Workflows that are over and go on: retry, restart, rerun; and skipping, variables, callbacks, turns.

use std::sync::Arc;

use conductor_model::{TaskStatus, WorkflowStatus};
use serde_json::{Value, json};

use super::harness::{BEGIN, Story, object, simple, snapshot};
use crate::{Event, Plan, Refusal, WorkerStatus};

fn forked() -> Value {
    let fork = json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [[simple("a1"), simple("a2")], [simple("b")]]});
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN"});
    json!([simple("before"), fork, join, simple("after")])
}

fn start(tasks: Value) -> Story {
    Story::start(
        json!({"tasks": tasks, "variables": {"v": 1}, "timeoutSeconds": 100, "timeoutPolicy": "TIME_OUT_WF"}),
        json!([]),
        json!({"n": 1}),
    )
}

const RETRY: Event = Event::Retry { resume_subworkflows: false };

fn rerun(from: Option<conductor_model::TaskId>) -> Event {
    Event::Rerun { from, task_input: None, workflow_input: None, correlation_id: None }
}

#[test]
fn a_retry_tries_what_failed_and_what_was_canceled() {
    let mut story = start(forked());
    assert!(matches!(story.try_event(RETRY), Err(Refusal::WorkflowStatus { .. })));
    story.complete("before", json!({}));
    story.complete("b", json!({}));
    story.fail("a1");
    assert_eq!((story.status(), story.task("j").status), (WorkflowStatus::Failed, TaskStatus::Canceled));
    story.wait(50);
    story.event(RETRY);
    assert_eq!(story.status(), WorkflowStatus::Running);
    assert_eq!(story.open(), ["j", "a1"]);
    let a1 = story.task("a1");
    assert_eq!((a1.attempt, a1.reason.as_deref()), (1, Some("it broke")));
    let workflow = story.run.workflow();
    assert_eq!((workflow.last_retried_at, workflow.timer_at), (Some(story.now), Some(story.now.plus_seconds(100))));
    assert!(workflow.failed_references.is_empty() && workflow.reason.is_none() && workflow.ended_at.is_none());
    story.restart();
    story.complete("a1", json!({}));
    story.complete("a2", json!({}));
    story.complete("after", json!({}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
    assert_eq!(story.try_event(RETRY), Err(Refusal::NothingToRetry));
}

#[test]
fn a_retry_schedules_what_never_came() {
    let mut story = start(forked());
    story.complete("before", json!({}));
    story.event(Event::Pause);
    story.complete("a1", json!({}));
    story.event(Event::Terminate { reason: None });
    story.restart();
    story.event(RETRY);
    assert_eq!(story.open(), ["j", "b", "a2"], "what followed from a1 was still to be drawn");
}

#[test]
fn a_terminated_workflow_without_failed_tasks_cannot_be_retried() {
    let step =
        json!({"name": "x", "taskReferenceName": "x", "type": "TERMINATE", "inputParameters": {"terminationStatus": "FAILED"}});
    let mut story = start(json!([step]));
    assert_eq!(story.try_event(RETRY), Err(Refusal::NothingToRetry));
}

#[test]
fn a_tolerated_failure_is_tried_again_without_doing_the_rest_twice() {
    let step = json!({"name": "p", "taskReferenceName": "p", "permissive": true});
    let mut story = start(json!([step, simple("after")]));
    story.fail("p");
    story.complete("after", json!({}));
    assert_eq!((story.status(), story.run.workflow().tolerated), (WorkflowStatus::Failed, 1));
    story.event(RETRY);
    assert_eq!(story.open(), ["p"]);
    story.complete("p", json!({}));
    assert_eq!((story.status(), story.run.workflow().tolerated), (WorkflowStatus::Completed, 0));
    assert_eq!(story.attempts("after"), [TaskStatus::Completed]);
}

#[test]
fn a_restart_begins_anew_under_the_same_id() {
    let mut story = start(forked());
    assert!(matches!(story.try_event(Event::Restart { plan: None }), Err(Refusal::WorkflowStatus { .. })));
    let id = story.run.workflow().id;
    story.event(Event::SetVariables { variables: object(json!({"v": 2})), append: false });
    story.complete("before", json!({}));
    story.fail("b");
    story.wait(10);
    story.event(Event::Restart { plan: None });
    assert_eq!((story.tasks(), story.run.workflow().id), (vec!["before SCHEDULED".to_owned()], id));
    assert_eq!(story.run.workflow().variables.as_ref(), &json!({"v": 1}));
    assert_eq!(story.run.workflow().timer_at, Some(story.now.plus_seconds(100)));
    story.restart();
    story.complete("before", json!({}));
    assert_eq!(story.open(), ["a1", "b", "j"]);
}

#[test]
fn a_restart_can_take_other_definitions() {
    let mut story = start(json!([simple("a")]));
    story.fail("a");
    let newer = snapshot(json!({"tasks": [simple("z")], "version": 2, "variables": {"w": 9}}), json!([]));
    story.event(Event::Restart { plan: Some(Arc::new(Plan::compile(Arc::new(newer)).unwrap())) });
    assert_eq!(story.open(), ["z"]);
    assert_eq!((story.run.workflow().version, story.run.workflow().variables.as_ref()), (2, &json!({"w": 9})));
}

#[test]
fn an_input_is_filled_in_from_the_template_whenever_it_or_the_definition_is_replaced() {
    let definition = |unit| json!({"tasks": [simple("a")], "inputTemplate": {"unit": unit, "n": 0}});
    let mut story = Story::start(definition("mm"), json!([]), json!({"n": 1}));
    let input = |story: &Story| story.run.workflow().input.as_ref().clone();
    assert_eq!(input(&story), json!({"n": 1, "unit": "mm"}));
    story.fail("a");
    story.event(Event::Rerun {
        from: None,
        task_input: None,
        workflow_input: Some(object(json!({"m": 2}))),
        correlation_id: None,
    });
    assert_eq!(input(&story), json!({"m": 2, "n": 0, "unit": "mm"}));
    story.restart();
    assert_eq!(input(&story), json!({"m": 2, "n": 0, "unit": "mm"}));
    story.fail("a");
    let mut newer = definition("mm");
    newer["inputTemplate"] = json!({"unit": "inch", "more": true});
    let newer = Plan::compile(Arc::new(snapshot(newer, json!([])))).unwrap();
    story.event(Event::Restart { plan: Some(Arc::new(newer)) });
    assert_eq!(input(&story), json!({"m": 2, "n": 0, "unit": "mm", "more": true}));
    story.restart();
    assert_eq!(input(&story)["more"], true, "it is stored");
}

#[test]
fn a_completed_workflow_is_only_restarted_if_it_may() {
    for (restartable, works) in [(true, true), (false, false)] {
        let mut story = Story::start(json!({"tasks": [simple("a")], "restartable": restartable}), json!([]), json!({}));
        story.complete("a", json!({}));
        let restarted = story.try_event(Event::Restart { plan: None });
        assert_eq!(restarted.is_ok(), works);
        assert!(works || matches!(restarted, Err(Refusal::NotRestartable { .. })));
    }
}

#[test]
fn a_rerun_from_a_task_removes_what_came_later() {
    let mut story = start(forked());
    for reference in ["before", "a1", "b", "a2", "after"] {
        story.complete(reference, json!({"first": reference}));
    }
    let from = story.id("a2");
    story.event(Event::Rerun {
        from: Some(from),
        task_input: Some(object(json!({"given": true}))),
        workflow_input: Some(object(json!({"n": 2}))),
        correlation_id: Some("other".to_owned()),
    });
    assert_eq!(story.open(), ["j", "a2"], "the join is not finished any more, and b stays done");
    assert_eq!(story.task("a2").input.as_ref(), &json!({"given": true}));
    assert_ne!(story.id("a2"), from);
    assert_eq!(story.run.workflow().input.as_ref(), &json!({"n": 2}));
    assert_eq!(story.run.workflow().correlation_id.as_deref(), Some("other"));
    story.restart();
    story.complete("a2", json!({"second": 1}));
    assert_eq!(story.task("j").output["a2"], json!({"second": 1}));
    assert_eq!(story.open(), ["after"]);
}

#[test]
fn a_rerun_from_nowhere_begins_anew() {
    let mut story = start(forked());
    story.complete("before", json!({}));
    assert!(matches!(story.try_event(rerun(None)), Err(Refusal::WorkflowStatus { .. })));
    story.event(Event::Terminate { reason: None });
    let unknown = conductor_model::TaskId(uuid::Uuid::nil());
    assert_eq!(story.try_event(rerun(Some(unknown))), Err(Refusal::UnknownTask { task: unknown }));
    story.event(rerun(None));
    assert_eq!(story.tasks(), ["before SCHEDULED"]);
}

#[test]
fn a_workflow_that_a_retried_terminate_ends_at_once_schedules_nothing_more() {
    let end = json!({"name": "end", "taskReferenceName": "end", "type": "TERMINATE", "startDelay": 5,
        "inputParameters": {"terminationStatus": "COMPLETED"}});
    let fork =
        json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [[end], [simple("a")], [simple("b")]]});
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN"});
    let mut story = start(json!([fork, join]));
    story.event(Event::Terminate { reason: None });
    story.event(Event::Retry { resume_subworkflows: false });
    assert_eq!((story.status(), story.open()), (WorkflowStatus::Completed, vec![]));
    story.restart();
}

#[test]
fn a_rerun_inside_a_loop_goes_back_to_that_round() {
    let step = json!({"name": "lp", "taskReferenceName": "lp", "type": "DO_WHILE", "loopOver": [simple("t"), simple("u")], "loopCondition": "c"});
    let mut story = start(json!([step, simple("after")]));
    for round in 1..=3 {
        story.complete("t", json!({}));
        story.complete("u", json!({}));
        story.perform("lp", json!(round < 3));
    }
    story.complete("after", json!({}));
    let from = story.id("u__2");
    story.event(rerun(Some(from)));
    assert_eq!(story.open(), ["lp", "u__2"]);
    assert_eq!(story.task("lp").iteration, 2);
    story.restart();
    story.complete("u", json!({}));
    story.perform("lp", json!(true));
    assert_eq!(story.open(), ["lp", "t__3"]);
}

#[test]
fn a_rerun_from_a_dynamic_fork_finds_its_branches_anew() {
    let fork = json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN_DYNAMIC", "inputParameters": {"forkTaskName": "t", "forkTaskInputs": "${workflow.input.l}"}});
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN"});
    let mut story = Story::start(json!({"tasks": [fork, join]}), json!([]), json!({"l": [1]}));
    story.complete("_t_0", json!({}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
    let from = Some(story.id("f"));
    story.event(Event::Rerun {
        from,
        task_input: None,
        workflow_input: Some(object(json!({"l": [1, 2]}))),
        correlation_id: None,
    });
    assert_eq!(story.open(), ["_t_0", "_t_1", "j"]);
}

#[test]
fn a_skipped_step_is_passed_when_the_flow_comes_to_it() {
    let mut use_it = simple("c");
    use_it["inputParameters"] = json!({"b": "${b.output.x}"});
    let mut story = start(json!([simple("a"), simple("b"), use_it]));
    let skip = |reference: &str| Event::Skip {
        reference: reference.to_owned(),
        input: object(json!({"i": 1})),
        output: object(json!({"x": 5})),
    };
    story.event(skip("b"));
    assert_eq!(story.tasks(), ["a SCHEDULED", "b SKIPPED"]);
    story.event(Event::Pause);
    assert!(matches!(story.try_event(skip("c")), Err(Refusal::WorkflowStatus { .. })));
    story.restart();
    story.event(Event::Resume);
    assert_eq!(story.open(), ["a"], "pausing does not draw what is behind it");
    assert!(matches!(story.try_event(skip("b")), Err(Refusal::AlreadyScheduled { .. })));
    assert!(matches!(story.try_event(skip("ghost")), Err(Refusal::UnknownReference { .. })));
    story.complete("a", json!({}));
    assert_eq!(story.open(), ["c"]);
    assert_eq!(story.task("c").input.as_ref(), &json!({"b": 5}));
    let mut story = start(forked());
    assert!(matches!(story.try_event(skip("f")), Err(Refusal::NotSkippable { .. })));
    story.event(skip("a2"));
    story.complete("before", json!({}));
    story.complete("a1", json!({}));
    story.complete("b", json!({}));
    assert_eq!(story.open(), ["after"]);
}

#[test]
fn callbacks_are_reset() {
    let mut story = start(json!([simple("a")]));
    let mut update = story.worker_update("a", WorkerStatus::InProgress, json!({}));
    update.callback_after_seconds = 300;
    story.event(Event::Updated(update));
    assert_eq!(story.task("a").visible_at, BEGIN.plus_seconds(300));
    story.event(Event::ResetCallbacks);
    assert_eq!((story.task("a").visible_at, story.task("a").callback_after_seconds), (BEGIN, 0));
    story.poll("a");
}

#[test]
fn variables_can_be_set_from_outside() {
    let mut story = start(json!([simple("a")]));
    let set = |variables: Value, append| Event::SetVariables { variables: object(variables), append };
    story.event(set(json!({"w": [2]}), false));
    assert_eq!(story.run.workflow().variables.as_ref(), &json!({"v": 1, "w": [2]}));
    story.event(set(json!({"v": [5], "w": [3, 4], "x": [6]}), true));
    assert_eq!(story.run.workflow().variables.as_ref(), &json!({"v": [5], "w": [2, 3, 4], "x": [6]}), "lists behind lists");
    story.event(set(json!({"w": [7]}), false));
    assert_eq!(story.run.workflow().variables["w"], json!([7]));
    let large = set(json!({"w": "x".repeat(300_000)}), true);
    assert!(matches!(story.try_event(large), Err(Refusal::TooLarge { .. })));
}

#[test]
fn a_workflow_beyond_its_limit_waits_for_its_turn() {
    let plan =
        Arc::new(Plan::compile(Arc::new(snapshot(json!({"tasks": [simple("a")], "timeoutSeconds": 10}), json!([])))).unwrap());
    let mut story = Story::start_limited(plan);
    assert!(story.open().is_empty());
    story.restart();
    story.wait(60);
    story.event(Event::Admitted);
    assert_eq!((story.open(), story.run.workflow().timer_at), (vec!["a".to_owned()], Some(story.now.plus_seconds(10))));
    assert_eq!(story.try_event(Event::Admitted), Err(Refusal::NothingDue));
    assert!(!story.run.workflow().rate_limited);
}

#[test]
fn a_task_that_is_done_at_once_in_a_retry_is_counted_once() {
    let delayed = json!({"name": "n", "taskReferenceName": "n", "type": "NOOP", "startDelay": 9});
    let fork = json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [[delayed], [simple("b")], [simple("c")]]});
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN"});
    let mut story = start(json!([fork, join]));
    story.fail("b");
    story.event(RETRY);
    assert_eq!(story.open(), ["j", "b", "c"]);
    story.complete("c", json!({}));
    assert_eq!(story.task("j").status, TaskStatus::InProgress, "b is still missing");
}

#[test]
fn a_rerun_that_takes_away_an_attempt_makes_another() {
    let mut retried = simple("b");
    retried["retryCount"] = json!(1);
    let fork = json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [[retried], [simple("c")]]});
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN"});
    let mut story = start(json!([fork, join]));
    story.fail("b");
    story.event(Event::Terminate { reason: None });
    let from = story.id("j");
    story.event(rerun(Some(from)));
    assert_eq!(story.attempts("b"), [TaskStatus::Failed, TaskStatus::Scheduled]);
    story.complete("b", json!({}));
    story.complete("c", json!({}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
}
