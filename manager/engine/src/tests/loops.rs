//! DO_WHILE.

use conductor_model::{TaskStatus, WorkflowStatus};
use serde_json::{Value, json};

use super::harness::{Story, simple};
use crate::{Event, ServerWork};

fn looping(body: Value, more: Value) -> Value {
    let mut step = json!({"name": "lp", "taskReferenceName": "lp", "type": "DO_WHILE", "loopOver": body});
    for (key, value) in more.as_object().unwrap() {
        step[key] = value.clone();
    }
    step
}

fn counted(body: Value) -> Value {
    looping(body, json!({"loopCondition": "$.lp['iteration'] < 3"}))
}

fn start(steps: Value) -> Story {
    Story::start(json!({"tasks": steps}), json!([]), json!({"list": ["a", "b", "c"]}))
}

#[track_caller]
fn condition_input(story: &Story) -> Value {
    match story.run.server_work(story.id("lp")) {
        Some(ServerWork::Script { input, .. }) => Value::clone(&input),
        other => panic!("{other:?}"),
    }
}

#[test]
fn rounds_follow_while_the_condition_holds() {
    let use_it = json!({"name": "t", "taskReferenceName": "t", "inputParameters": {
        "round": "${lp.output.iteration}", "before": "${t.output.n}", "first": "${lp.output.1.t.n}", "exact": "${t__1.output.n}"}});
    let after = json!({"name": "after", "taskReferenceName": "after", "inputParameters": {"all": "${lp.output}", "last": "${t.output.n}"}});
    let mut story = start(json!([counted(json!([use_it])), after]));
    assert_eq!(story.tasks(), ["lp IN_PROGRESS", "t__1 SCHEDULED"]);
    assert_eq!((story.task("t__1").iteration, story.task("lp").iteration), (1, 1));
    assert_eq!(story.task("t").input.as_ref(), &json!({"round": 1, "before": null, "first": null, "exact": null}));
    story.complete("t", json!({"n": 10}));
    assert!(story.task("lp").performing);
    assert_eq!(condition_input(&story), json!({"t": {"n": 10}, "lp": {"iteration": 1}}));
    story.restart();
    story.perform("lp", json!(true));
    assert_eq!(&*story.task("t").reference, "t__2", "the newest round is meant without a number");
    assert_eq!(story.task("t").input.as_ref(), &json!({"round": 2, "before": 10, "first": 10, "exact": 10}));
    story.complete("t", json!({"n": 20}));
    story.perform("lp", json!(1));
    story.complete("t__3", json!({"n": 30}));
    story.perform("lp", json!(false));
    let all = json!({"1": {"t": {"n": 10}}, "2": {"t": {"n": 20}}, "3": {"t": {"n": 30}}, "iteration": 3});
    assert_eq!(story.task("lp").output.as_ref(), &all);
    assert_eq!(story.task("after").input.as_ref(), &json!({"all": all, "last": 30}));
}

#[test]
fn a_condition_sees_what_earlier_rounds_came_to() {
    let condition = json!({"loopCondition": "$.lp['1'].t.n + $.t.n < 100"});
    let mut story = start(json!([looping(json!([simple("t")]), condition)]));
    story.complete("t", json!({"n": 10}));
    assert_eq!(condition_input(&story)["lp"], json!({"1": {"t": {"n": 10}}, "iteration": 1}));
    story.perform("lp", json!(true));
    story.restart();
    story.complete("t", json!({"n": 20}));
    assert_eq!(condition_input(&story)["lp"], json!({"1": {"t": {"n": 10}}, "2": {"t": {"n": 20}}, "iteration": 2}));
    story.perform("lp", json!(false));
    assert_eq!(story.task("lp").output["2"], json!({"t": {"n": 20}}));
}

#[test]
fn a_list_gives_a_round_for_each_element() {
    let body = json!([{"name": "t", "taskReferenceName": "t"}]);
    let mut story = start(json!([looping(body.clone(), json!({"items": "${workflow.input.list}"})), simple("after")]));
    assert_eq!(story.task("t").input.as_ref(), &json!({"loopItem": "a", "loopIndex": 0}));
    assert_eq!(story.task("lp").output.as_ref(), &json!({"iteration": 1, "loopItem": "a", "loopIndex": 0}));
    story.complete("t", json!({}));
    story.restart();
    assert_eq!(story.task("t__2").input.as_ref(), &json!({"loopItem": "b", "loopIndex": 1}));
    story.complete("t", json!({}));
    story.complete("t", json!({}));
    assert_eq!(story.open(), ["after"], "no condition is asked");
    let of_sdk = json!({"inputParameters": {"items": "${workflow.input.list}"},
        "loopCondition": "if ( $.lp.iteration < 0 ) { true; } else { false; }"});
    let mut story = start(json!([looping(body.clone(), of_sdk), simple("after")]));
    (0..3).for_each(|_| story.complete("t", json!({})));
    assert_eq!(story.open(), ["after"], "as the SDK's ForEachTask writes it");
    let empty = start(json!([looping(body.clone(), json!({"inputParameters": {"_items": []}})), simple("after")]));
    assert_eq!(empty.tasks(), ["lp COMPLETED", "after SCHEDULED"]);
    let wrong = start(json!([looping(body, json!({"inputParameters": {"_items": "${workflow.input.nothing}"}}))]));
    assert_eq!(wrong.task("lp").status, TaskStatus::FailedWithTerminalError);
}

#[test]
fn old_rounds_are_removed_when_only_the_last_are_kept() {
    let fork = json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [[simple("a")], [simple("b")]]});
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN"});
    let step = looping(json!([fork, join]), json!({"loopCondition": "true", "inputParameters": {"keepLastN": 2}}));
    let mut story = start(json!([step]));
    for round in 1..=5 {
        story.complete("a", json!({"r": round}));
        story.complete("b", json!({}));
        story.perform("lp", json!(round < 5));
        story.restart();
    }
    assert_eq!(story.status(), WorkflowStatus::Completed);
    let rounds: Vec<&str> = story.run.tasks().map(|task| &*task.reference).filter(|name| name.starts_with("a_")).collect();
    assert_eq!(rounds, ["a__4", "a__5"]);
    let kept: Vec<&String> = story.task("lp").output.as_object().unwrap().keys().collect();
    assert_eq!(kept, ["4", "5", "iteration"]);
    assert_eq!(story.task("lp").output["5"]["a"], json!({"r": 5}));
}

#[test]
fn loops_in_loops_and_switches_in_loops() {
    let switch = json!({"name": "s", "taskReferenceName": "s", "type": "SWITCH", "expression": "n", "inputParameters": {"n": "${inner.output.iteration}"},
        "decisionCases": {"1": [simple("one")], "2": [simple("two")]}});
    let inner =
        json!({"name": "inner", "taskReferenceName": "inner", "type": "DO_WHILE", "loopOver": [switch], "loopCondition": "c"});
    let mut story = start(json!([counted(json!([inner, simple("t")]))]));
    assert_eq!(story.open(), ["lp", "inner__1", "one__1__1"]);
    story.complete("one", json!({}));
    story.perform("inner", json!(true));
    assert_eq!(story.open(), ["lp", "inner__1", "two__1__2"]);
    story.restart();
    story.complete("two__1__2", json!({"x": 1}));
    story.perform("inner", json!(false));
    assert_eq!(story.task("inner").output["2"]["two"], json!({"x": 1}));
    story.complete("t", json!({}));
    story.perform("lp", json!(true));
    assert_eq!(story.open(), ["lp", "inner__2", "one__2__1"]);
    story.restart();
    story.complete("one", json!({}));
    story.perform("inner", json!(false));
    story.complete("t__2", json!({}));
    story.perform("lp", json!(false));
    assert_eq!(story.status(), WorkflowStatus::Completed);
    assert_eq!(story.task("lp").output["1"]["inner"]["iteration"], 2);
}

#[test]
fn a_failure_inside_fails_the_loop() {
    let mut story = start(json!([counted(json!([simple("t")])), simple("after")]));
    story.complete("t", json!({}));
    story.perform("lp", json!(true));
    story.fail("t");
    assert_eq!((story.status(), story.task("lp").status), (WorkflowStatus::Failed, TaskStatus::Failed));
    let reason = format!("Task {} failed with status: FAILED and reason: 'it broke'", story.id("t__2"));
    assert_eq!(story.run.workflow().reason, Some(reason));
}

#[test]
fn a_loop_that_can_be_done_without_gives_way() {
    let fork = json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [[simple("a")], [simple("b")]]});
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN"});
    let step = looping(json!([fork, join]), json!({"loopCondition": "true", "optional": true}));
    let mut story = start(json!([step, simple("after")]));
    story.fail("a");
    assert_eq!(story.task("lp").status, TaskStatus::CompletedWithErrors);
    assert_eq!((story.task("b").status, story.task("j").status), (TaskStatus::Canceled, TaskStatus::Canceled));
    assert_eq!(story.open(), ["after"]);
    story.restart();
    story.complete("after", json!({}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
}

#[test]
fn a_condition_that_fails_fails_the_loop_for_good() {
    let mut story = start(json!([counted(json!([simple("t")]))]));
    story.complete("t", json!({}));
    story.perform_fails("lp", "x is not defined", false);
    assert_eq!(story.task("lp").status, TaskStatus::FailedWithTerminalError);
    assert_eq!(story.status(), WorkflowStatus::Failed);
}

#[test]
fn a_failed_loop_goes_on_in_its_round() {
    let mut story = start(json!([counted(json!([simple("t"), simple("u")])), simple("after")]));
    story.complete("t", json!({}));
    story.complete("u", json!({}));
    story.perform("lp", json!(true));
    story.complete("t", json!({}));
    story.fail("u");
    story.event(Event::Retry { resume_subworkflows: false });
    assert_eq!(story.open(), ["lp", "u__2"]);
    assert_eq!(story.attempts("u__2"), [TaskStatus::Failed, TaskStatus::Scheduled]);
    story.restart();
    story.complete("u", json!({}));
    story.perform_fails("lp", "broken", true);
    story.event(Event::Retry { resume_subworkflows: false });
    assert!(story.task("lp").performing, "the condition is asked again");
    story.perform("lp", json!(false));
    assert_eq!(story.open(), ["after"]);
}

#[test]
fn a_round_that_is_paused_goes_on() {
    let mut story = start(json!([counted(json!([simple("t")]))]));
    story.event(Event::Pause);
    story.complete("t", json!({}));
    assert!(!story.task("lp").performing);
    story.restart();
    story.event(Event::Resume);
    assert!(story.task("lp").performing);
}

#[test]
fn ten_thousand_rounds_cost_the_same_each() {
    let step = looping(
        json!([{"name": "t", "taskReferenceName": "t", "type": "NOOP", "inputParameters": {"n": "${lp.output.iteration}"}}]),
        json!({"loopCondition": "true", "inputParameters": {"keepLastN": 1}}),
    );
    let plan = super::harness::snapshot(json!({"tasks": [step]}), json!([]));
    let mut run = super::bare::Bare::start(plan);
    for round in 1..=10_000_u32 {
        let task = run.run.latest("lp").unwrap().id;
        let decision = run.event(Event::Performed { task, turn: round, result: Ok(json!(round < 10_000)) });
        assert!(decision.tasks.len() <= 2 && decision.removed.len() <= 1, "round {round}");
    }
    assert_eq!(run.run.workflow().status, WorkflowStatus::Completed);
    assert_eq!(run.run.tasks().count(), 2);
    assert_eq!(run.run.latest("t__10000").unwrap().input.as_ref(), &json!({"n": 10_000}));
}

#[test]
fn a_loop_whose_condition_never_becomes_false_ends_with_a_reason() {
    let body = json!([{"name": "t", "taskReferenceName": "t", "type": "NOOP"}]);
    let step = looping(body, json!({"loopCondition": "true", "inputParameters": {"keepLastN": 1}}));
    let mut run = super::bare::Bare::start(super::harness::snapshot(json!({"tasks": [step]}), json!([])));
    let mut rounds = 0;
    while run.run.workflow().status == WorkflowStatus::Running {
        rounds += 1;
        let task = run.run.latest("lp").unwrap().id;
        run.event(Event::Performed { task, turn: rounds, result: Ok(json!(true)) });
    }
    assert_eq!(rounds, 20_000);
    let lp = run.run.latest("lp").unwrap();
    assert_eq!((lp.status, run.run.workflow().status), (TaskStatus::FailedWithTerminalError, WorkflowStatus::Failed));
    let reason = lp.reason.as_deref().unwrap();
    for part in ["20000 rounds", "`maxIterations`", "up to 100000"] {
        assert!(reason.contains(part), "{reason}");
    }
}

#[test]
fn a_step_says_itself_how_many_rounds_it_may_make() {
    let own = json!({"loopCondition": "true", "maxIterations": 2});
    let mut story = start(json!([looping(json!([simple("t")]), own)]));
    story.complete("t", json!({}));
    story.perform("lp", json!(true));
    story.restart();
    story.complete("t__2", json!({}));
    story.perform("lp", json!(true));
    assert_eq!((story.task("lp").status, story.status()), (TaskStatus::FailedWithTerminalError, WorkflowStatus::Failed));
    assert!(story.task("lp").reason.as_ref().unwrap().contains("after 2 rounds"), "{:?}", story.task("lp").reason);
    let enough = json!({"loopCondition": "true", "maxIterations": 2});
    let mut story = start(json!([looping(json!([simple("t")]), enough)]));
    story.complete("t", json!({}));
    story.perform("lp", json!(true));
    story.complete("t__2", json!({}));
    story.perform("lp", json!(false));
    assert_eq!(story.status(), WorkflowStatus::Completed, "so many it may make");
}

#[test]
fn a_list_with_more_elements_than_rounds_are_allowed_is_not_begun() {
    let body = json!([{"name": "t", "taskReferenceName": "t", "type": "NOOP"}]);
    let over = |items: Value, more: Value| {
        let mut step = looping(body.clone(), json!({"items": "${workflow.input.list}", "inputParameters": {"keepLastN": 1}}));
        for (key, value) in more.as_object().unwrap() {
            step[key] = value.clone();
        }
        Story::start(json!({"tasks": [step]}), json!([]), json!({"list": items}))
    };
    let story = over(json!(["a", "b", "c"]), json!({"maxIterations": 2}));
    assert_eq!(story.tasks(), ["lp FAILED_WITH_TERMINAL_ERROR"]);
    assert!(story.task("lp").reason.as_ref().unwrap().contains("3 elements"), "{:?}", story.task("lp").reason);
    let story = over(json!(vec![0; 100_001]), json!({}));
    assert!(story.task("lp").reason.as_ref().unwrap().contains("more than 100000"), "{:?}", story.task("lp").reason);
    assert_eq!(over(json!(["a", "b", "c"]), json!({"maxIterations": 3})).status(), WorkflowStatus::Completed);
    // A condition may end it before the list does.
    let mut story = over(json!(["a", "b", "c"]), json!({"maxIterations": 2, "loopCondition": "true"}));
    story.perform("lp", json!(true));
    story.perform("lp", json!(false));
    assert_eq!(story.status(), WorkflowStatus::Completed);
}

#[test]
fn definitions_of_loops() {
    let faults = |step: Value| -> Vec<String> {
        super::harness::violations(json!({"tasks": [step]}))
            .into_iter()
            .map(|fault| format!("{}: {}", fault.path, fault.message))
            .collect()
    };
    assert!(faults(counted(json!([]))).join(" ").contains("tasks[0].loopOver: must have at least one step"));
    assert!(faults(looping(json!([simple("t")]), json!({}))).join(" ").contains("tasks[0].loopCondition"));
    for rounds in [0, 100_001] {
        let found = faults(looping(json!([simple("t")]), json!({"loopCondition": "c", "maxIterations": rounds})));
        assert_eq!(found, ["tasks[0].maxIterations: must be 1 to 100000"]);
    }
    assert!(faults(counted(json!([simple("t"), simple("t__2")]))).join(" ").contains("what a round of `t` is called"));
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN", "joinOn": ["t"]});
    let outside = super::harness::violations(json!({"tasks": [counted(json!([simple("t")])), join]}));
    assert!(outside[0].message.contains("another loop"));
    assert!(
        faults(counted(
            json!([simple("t"), {"name": "u", "taskReferenceName": "u", "inputParameters": {"own": "${u.output}"}}])
        ))
        .is_empty()
    );
}
