//! FORK_JOIN_DYNAMIC.

use conductor_model::{TaskStatus, WorkflowStatus};
use serde_json::{Value, json};

use super::bare::Bare;
use super::harness::{Story, object, simple, snapshot};
use crate::{Event, ServerWork, WorkerStatus, WorkerUpdate};

fn fork(more: Value) -> Value {
    let mut step = json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN_DYNAMIC"});
    for (key, value) in more.as_object().unwrap() {
        step[key] = value.clone();
    }
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN"});
    let mut after = simple("after");
    after["inputParameters"] = json!({"all": "${j.output}"});
    json!({"tasks": [step, join, after]})
}

fn of_lists() -> Value {
    fork(json!({"dynamicForkTasksParam": "steps", "dynamicForkTasksInputParamName": "inputs",
        "inputParameters": {"steps": "${workflow.input.steps}", "inputs": "${workflow.input.inputs}"}}))
}

#[test]
fn branches_come_from_a_list_of_steps_and_their_inputs() {
    let steps = json!([
        {"name": "t1", "taskReferenceName": "a", "inputParameters": {"own": "${workflow.correlationId}", "x": 0}},
        {"name": "w", "taskReferenceName": "b", "type": "WAIT"},
        {"name": "s", "taskReferenceName": "c", "type": "SWITCH", "expression": "k", "inputParameters": {"k": "1"},
         "decisionCases": {"1": [simple("c1"), simple("c2")]}},
    ]);
    let input = json!({"steps": steps, "inputs": {"a": {"x": "${not.an.expression}"}, "b": 5}});
    let mut story = Story::start(of_lists(), json!([]), input);
    assert_eq!(story.tasks(), ["f COMPLETED", "a SCHEDULED", "b IN_PROGRESS", "c COMPLETED", "j IN_PROGRESS", "c1 SCHEDULED"]);
    assert_eq!(story.task("a").input.as_ref(), &json!({"own": "order-7", "x": "${not.an.expression}"}));
    assert_eq!(story.task("b").input.as_ref(), &json!({"input": 5}), "what is no object is wrapped");
    assert_eq!(story.task("j").input["joinOn"], json!(["a", "b", "c"]));
    assert_eq!(story.task("f").input["forkedTasks"], json!(["a", "b", "c"]));
    story.restart();
    story.complete("c1", json!({}));
    story.complete("b", json!({"signal": 1}));
    story.restart();
    story.fail("a");
    assert_eq!(story.attempts("a"), [TaskStatus::Failed, TaskStatus::Scheduled], "by the catalogue's definition of t1");
    assert_eq!(story.task("a").input["x"], "${not.an.expression}");
    story.complete("a", json!({"n": 1}));
    story.complete("c2", json!({}));
    assert_eq!(story.open(), ["after"]);
    let all = &story.task("after").input["all"];
    assert_eq!((&all["a"], &all["b"]), (&json!({"n": 1}), &json!({"signal": 1})));
}

#[test]
fn branches_come_from_pairs() {
    let step = fork(json!({"dynamicForkJoinTasksParam": "d", "inputParameters": {"d": "${workflow.input}"}}));
    let input = json!({"dynamicTasks": [
        {"taskName": "x", "referenceName": "x1", "type": "SIMPLE", "input": {"n": 1}}, {"taskName": "x", "referenceName": "x2", "input": {"n": 2}}]});
    let mut story = Story::start(step, json!([]), input);
    assert_eq!(story.open(), ["x1", "x2", "j"]);
    assert_eq!(story.task("x2").input.as_ref(), &json!({"n": 2}));
    story.complete("x2", json!({}));
    story.complete("x1", json!({}));
    assert_eq!(story.open(), ["after"]);
}

#[test]
fn branches_come_from_inputs_for_the_same_task_or_workflow() {
    let step = fork(json!({"inputParameters": {"forkTaskName": "t", "forkTaskInputs": "${workflow.input.list}"}}));
    let story = Story::start(step, json!([]), json!({"list": [{"a": 1}, 7]}));
    assert_eq!(story.open(), ["_t_0", "_t_1", "j"]);
    assert_eq!(story.task("_t_0").input.as_ref(), &json!({"a": 1, "__index": 0}));
    assert_eq!(story.task("_t_1").input.as_ref(), &json!({"input": 7, "__index": 1}));
    let step = fork(
        json!({"inputParameters": {"forkTaskWorkflow": "child", "forkTaskWorkflowVersion": 2, "forkTaskInputs": [{"a": 1}]}}),
    );
    let story = Story::start(step, json!([]), json!({}));
    let order = story.child().expect("a child is started");
    assert_eq!((order.name.as_str(), order.version, &order.input["a"]), ("child", Some(2), &json!(1)));
}

/// What the manager is to do for a branch.
#[track_caller]
fn work(story: &Story, reference: &str) -> ServerWork {
    story.run.server_work(story.id(reference)).unwrap_or_else(|| panic!("nothing for {reference}: {:?}", story.tasks()))
}

#[test]
fn branches_of_every_type_find_in_the_given_inputs_what_they_must_have() {
    let http = |n: u8| json!({"uri": format!("http://h/{n}?x=${{y}}"), "method": "GET"});
    let step = |reference: &str, task_type: &str| json!({"name": reference, "taskReferenceName": reference, "type": task_type});
    let mut switch = step("sw", "SWITCH");
    switch["expression"] = json!("way");
    switch["decisionCases"] = json!({"left": [simple("l")]});
    let mut dynamic = step("dy", "DYNAMIC");
    dynamic["dynamicTaskNameParam"] = json!("which");
    let steps = json!([
        step("ht", "HTTP"),
        step("in", "INLINE"),
        step("jq", "JSON_JQ_TRANSFORM"),
        step("la", "LAMBDA"),
        step("st", "START_WORKFLOW"),
        step("wa", "WAIT"),
        switch,
        dynamic
    ]);
    let inputs = json!({"ht": {"http_request": http(1)}, "in": {"expression": "`${1}`"}, "jq": {"queryExpression": ".a", "a": 1},
        "la": {"scriptExpression": "return 1"}, "st": {"startWorkflow": {"name": "c"}}, "wa": {"duration": "5 s"},
        "sw": {"way": "left"}, "dy": {"which": "t1"}});
    let mut story = Story::start(of_lists(), json!([]), json!({"steps": steps, "inputs": inputs}));
    story.restart();
    assert_eq!(story.open(), ["ht", "in", "jq", "la", "st", "wa", "dy", "j", "l"]);
    let ServerWork::Http(request) = work(&story, "ht") else { panic!("a request") };
    assert_eq!(request.uri, "http://h/1?x=${y}", "data is not looked up");
    let ServerWork::Script { source, .. } = work(&story, "in") else { panic!("a script") };
    assert_eq!(&*source, "`${1}`");
    assert_eq!(&*story.task("dy").definition_name, "t1");
    assert_eq!(story.task("wa").timer_at, Some(story.now.plus_seconds(5)));

    let pairs = fork(json!({"dynamicForkJoinTasksParam": "d", "inputParameters": {"d": "${workflow.input}"}}));
    let given = json!([{"taskName": "x", "referenceName": "x1", "type": "HTTP", "input": http(2)}]);
    let story = Story::start(pairs, json!([]), json!({"dynamicTasks": given}));
    assert!(matches!(work(&story, "x1"), ServerWork::Http(request) if request.uri.contains("/2")));

    let same = json!({"forkTaskName": "call", "forkTaskType": "HTTP", "forkTaskInputs": "${workflow.input.all}"});
    let story = Story::start(fork(json!({"inputParameters": same})), json!([]), json!({"all": [http(3), http(4)]}));
    assert!(matches!(work(&story, "_call_1"), ServerWork::Http(request) if request.uri.contains("/4")));
    let nothing = Story::start(fork(json!({"inputParameters": same})), json!([]), json!({"all": [{}]}));
    assert!(
        nothing.task("f").reason.as_deref().is_some_and(|reason| reason.contains("must have a `uri`")),
        "who lacks it is told"
    );
}

#[test]
fn a_secret_that_the_given_input_of_a_branch_names_is_not_handed_over() {
    let given = json!({"text": "Bearer ${workflow.secrets.token}", "deep": [{"k": "$${workflow.env.REGION}"}]});
    let story = Story::start(of_lists(), json!([]), json!({"steps": [simple("a")], "inputs": {"a": given}}));
    assert_eq!(story.task("a").input.as_ref(), &given);
    assert!(!story.run.has_sealed_input(story.id("a")));
    assert_eq!(story.run.revealed_input(story.id("a"), &|_, _| Some("hush".to_owned())), None);
}

#[test]
fn an_empty_list_joins_at_once_and_no_list_fails() {
    let story = Story::start(of_lists(), json!([]), json!({"steps": []}));
    assert_eq!(story.tasks(), ["f COMPLETED", "j COMPLETED", "after SCHEDULED"]);
    for steps in [
        json!(null),
        json!({}),
        json!([{"name": "x"}]),
        json!([simple("after")]),
        json!([simple("a"), simple("a")]),
        json!([{"name": "f2", "taskReferenceName": "f2", "type": "FORK_JOIN", "forkTasks": [[simple("q")]]}]),
    ] {
        let story = Story::start(of_lists(), json!([]), json!({"steps": steps}));
        assert_eq!(story.task("f").status, TaskStatus::FailedWithTerminalError, "{steps}");
        assert_eq!(story.status(), WorkflowStatus::Failed);
    }
}

#[test]
fn forks_in_rounds_have_branches_of_their_own() {
    let inner = json!([
        {"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN_DYNAMIC", "inputParameters": {"forkTaskName": "t", "forkTaskInputs": [1, 2]}},
        {"name": "j", "taskReferenceName": "j", "type": "JOIN"},
    ]);
    let step = json!({"name": "lp", "taskReferenceName": "lp", "type": "DO_WHILE", "loopOver": inner, "loopCondition": "c", "inputParameters": {"keepLastN": 1}});
    let mut story = Story::start(json!({"tasks": [step]}), json!([]), json!({}));
    for round in 1..=3 {
        assert_eq!(story.open(), ["lp".to_owned(), format!("_t_0__{round}"), format!("_t_1__{round}"), format!("j__{round}")]);
        story.complete("_t_0", json!({"r": round}));
        story.restart();
        story.complete("_t_1", json!({}));
        story.perform("lp", json!(round < 3));
    }
    assert_eq!(story.status(), WorkflowStatus::Completed);
    assert_eq!(story.task("lp").output["3"]["_t_0"], json!({"r": 3}));
    assert_eq!(story.run.tasks().count(), 5, "the loop and its last round");
}

#[test]
fn ten_thousand_dynamic_branches_cost_the_same_each() {
    const BRANCHES: usize = 10_000;
    let step = fork(json!({"inputParameters": {"forkTaskName": "t", "forkTaskInputs": "${workflow.input.list}"}}));
    let list: Vec<usize> = (0..BRANCHES).collect();
    let mut run = Bare::start_with(snapshot(step, json!([])), json!({"list": list}));
    for n in 0..BRANCHES {
        let task = run.run.latest(&format!("_t_{n}")).unwrap().id;
        let update = WorkerUpdate {
            task,
            status: WorkerStatus::Completed,
            output: object(json!({"n": n})),
            merge_output: false,
            reason: None,
            worker_id: None,
            callback_after_seconds: 0,
            extend_lease: false,
        };
        let decision = run.event(Event::Updated(update));
        assert_eq!(decision.tasks.len(), if n + 1 == BRANCHES { 3 } else { 1 });
    }
    assert_eq!(run.run.latest("j").unwrap().output.as_object().map(serde_json::Map::len), Some(BRANCHES));
}
