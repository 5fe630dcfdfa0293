//! What the manager does itself: scripts, requests, messages.

use conductor_model::{TaskStatus, WorkflowStatus};
use serde_json::{Value, json};

use super::harness::{Story, simple};
use crate::{Event, Refusal, ScriptLanguage, ScriptStyle, ServerWork};

fn step(task_type: &str, more: Value) -> Value {
    let mut step = json!({"name": "x", "taskReferenceName": "x", "type": task_type});
    for (key, value) in more.as_object().unwrap() {
        step[key] = value.clone();
    }
    step
}

fn start(step: Value) -> Story {
    Story::start(json!({"tasks": [step, simple("after")]}), json!([]), json!({"n": 7, "way": "left"}))
}

#[track_caller]
fn script(story: &Story, reference: &str) -> (ScriptLanguage, String, ScriptStyle, Value) {
    match story.run.server_work(story.id(reference)) {
        Some(ServerWork::Script { language, source, style, input }) => {
            (language, source.to_string(), style, Value::clone(&input))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_inline_script_is_performed_and_its_value_is_the_result() {
    let input = json!({"inputParameters": {"evaluatorType": "graaljs", "expression": "$.n + 1", "n": "${workflow.input.n}"}});
    let mut story = start(step("INLINE", input));
    let task = story.id("x");
    assert_eq!(story.effects, [crate::Effect::Perform { task, turn: 1 }]);
    assert!(story.task("x").performing);
    let (language, source, style, input) = script(&story, "x");
    assert_eq!((language, source.as_str(), style), (ScriptLanguage::JavaScript, "$.n + 1", ScriptStyle::Expression));
    assert_eq!(input["n"], 7);
    story.restart();
    assert!(story.run.server_work(task).is_some(), "after a restart it is performed again");
    story.perform("x", json!(8));
    assert_eq!(story.task("x").output.as_ref(), &json!({"result": 8}));
    assert_eq!(story.open(), ["after"]);
    assert_eq!(story.run.server_work(task), None);
    let late = Event::Performed { task, turn: 1, result: Ok(json!(9)) };
    assert!(matches!(story.try_event(late), Err(Refusal::TaskOver { .. })));
}

#[test]
fn an_answer_to_another_turn_changes_nothing() {
    let mut story = start(step("INLINE", json!({"inputParameters": {"expression": "1"}})));
    let task = story.id("x");
    let stale = Event::Performed { task, turn: 7, result: Ok(json!(9)) };
    assert_eq!(story.try_event(stale), Err(Refusal::StaleTurn { task }));
}

#[test]
fn an_inline_script_that_fails_ends_the_workflow_and_shows_the_error() {
    let mut story = start(step("INLINE", json!({"inputParameters": {"expression": "nope()"}})));
    story.perform_fails("x", "nope is not defined", false);
    assert_eq!(story.task("x").status, TaskStatus::FailedWithTerminalError);
    assert_eq!(story.task("x").output["error"], "nope is not defined");
    assert_eq!(story.status(), WorkflowStatus::Failed);
}

#[test]
fn an_inline_value_param_needs_no_script() {
    let input = json!({"inputParameters": {"evaluatorType": "value-param", "expression": "n", "n": "${workflow.input.n}"}});
    let story = start(step("INLINE", input));
    assert_eq!(story.task("x").output.as_ref(), &json!({"result": 7}));
    assert_eq!(story.open(), ["after"]);
}

#[test]
fn a_lambda_is_the_body_of_a_function() {
    let mut story = start(step("LAMBDA", json!({"inputParameters": {"scriptExpression": "return {a: $.n}", "n": 1}})));
    let (_, source, style, _) = script(&story, "x");
    assert_eq!((source.as_str(), style), ("return {a: $.n}", ScriptStyle::FunctionBody));
    story.perform("x", json!({"a": 1}));
    assert_eq!(story.task("x").output.as_ref(), &json!({"result": {"a": 1}}));
    let mut story = start(step("LAMBDA", json!({"scriptExpression": "throw 1"})));
    story.perform_fails("x", "1", false);
    assert_eq!((story.attempts("x"), &story.task("x").output["error"]), (vec![TaskStatus::Failed], &json!("1")));
}

#[test]
fn jq_gives_its_first_result_and_all() {
    let mut story = start(step("JSON_JQ_TRANSFORM", json!({"inputParameters": {"queryExpression": ".l[]", "l": [1, 2]}})));
    let (language, source, _, input) = script(&story, "x");
    assert_eq!((language, source.as_str(), &input["l"]), (ScriptLanguage::Jq, ".l[]", &json!([1, 2])));
    story.perform("x", json!([1, 2]));
    assert_eq!(story.task("x").output.as_ref(), &json!({"result": 1, "resultList": [1, 2]}));
    let mut story = start(step("JSON_JQ_TRANSFORM", json!({"inputParameters": {"queryExpression": ".a.b", "a": 1}})));
    story.perform_fails("x", "cannot index 1", false);
    assert_eq!((story.task("x").status, &story.task("x").output["error"]), (TaskStatus::Failed, &json!("cannot index 1")));
}

#[test]
fn a_switch_asks_its_script_and_takes_the_case() {
    let switch = json!({"evaluatorType": "javascript", "expression": "$.way", "inputParameters": {"way": "${workflow.input.way}"},
        "decisionCases": {"left": [simple("l")], "7": [simple("seven")]}, "defaultCase": [simple("d")]});
    let mut story = start(step("SWITCH", switch.clone()));
    assert_eq!(story.open(), ["x"]);
    story.restart();
    story.perform("x", json!("left"));
    assert_eq!(story.task("x").output.as_ref(), &json!({"evaluationResult": ["left"], "selectedCase": "left"}));
    assert_eq!(story.open(), ["l"]);

    let mut story = start(step("SWITCH", switch.clone()));
    story.perform("x", json!(7));
    assert_eq!(story.open(), ["seven"], "the result is made a text");

    let mut story = start(step("SWITCH", switch));
    story.perform_fails("x", "syntax", true);
    assert_eq!(story.task("x").status, TaskStatus::Failed);
    assert_eq!(story.status(), WorkflowStatus::Failed);
}

#[test]
fn a_script_of_a_paused_workflow_is_asked_again_when_it_goes_on() {
    let switch = json!({"evaluatorType": "javascript", "expression": "1", "decisionCases": {"1": [simple("one")]}});
    let mut story = start(step("SWITCH", switch));
    story.event(Event::Pause);
    let task = story.id("x");
    let answer = |turn| Event::Performed { task, turn, result: Ok(json!(1)) };
    assert!(matches!(story.try_event(answer(1)), Err(Refusal::WorkflowStatus { .. })));
    story.restart();
    story.event(Event::Resume);
    assert_eq!(story.effects, [crate::Effect::Perform { task, turn: 2 }]);
    story.event(answer(2));
    assert_eq!(story.open(), ["one"]);
}

#[test]
fn an_older_decision_takes_its_default_for_an_empty_case() {
    let decision = json!({"caseValueParam": "way", "inputParameters": {"way": "${workflow.input.way}"},
        "decisionCases": {"left": [], "right": [simple("r")]}, "defaultCase": [simple("d")]});
    let mut story = start(step("DECISION", decision));
    assert_eq!(story.task("x").output.as_ref(), &json!({"caseOutput": ["left"]}));
    assert_eq!(story.open(), ["d"]);
    story.restart();
    story.complete("d", json!({}));
    assert_eq!(story.open(), ["after"]);
    let scripted = json!({"caseExpression": "'ri' + 'ght'", "decisionCases": {"right": [simple("r")]}});
    let mut story = start(step("DECISION", scripted));
    story.perform("x", json!("right"));
    assert_eq!(story.open(), ["r"]);
}

fn http(request: Value) -> Story {
    start(step("HTTP", json!({"inputParameters": {"http_request": request}})))
}

#[test]
fn an_http_request_is_read_from_either_place() {
    let story = http(
        json!({"uri": "http://h/${workflow.input.n}", "method": "post", "headers": {"X-N": 1, "X-List": ["a", "b"]}, "body": {"a": 1},
        "readTimeOut": 9999999, "connectionTimeOut": "50"}),
    );
    let Some(ServerWork::Http(request)) = story.run.server_work(story.id("x")) else { panic!("no request") };
    assert_eq!((request.method.as_str(), request.uri.as_str()), ("POST", "http://h/7"));
    assert_eq!((request.headers["X-N"].as_str(), request.headers["X-List"].as_str()), ("1", "a, b"));
    assert_eq!(request.body, Some(json!({"a": 1})));
    assert_eq!((request.connect_timeout_ms, request.read_timeout_ms), (50, 600_000));
    let story = start(step("HTTP", json!({"inputParameters": {"uri": "http://h", "method": "GET"}})));
    assert!(matches!(story.run.server_work(story.id("x")), Some(ServerWork::Http(_))));
}

#[test]
fn what_a_step_must_have_may_be_in_the_template_of_its_definition() {
    let definitions = json!([{"name": "x", "inputTemplate": {"uri": "http://${workflow.input.n}/", "method": "GET",
        "expression": "$.n", "queryExpression": ".n", "scriptExpression": "return 1", "startWorkflow": {"name": "c"},
        "terminationStatus": "COMPLETED", "way": "left"}}]);
    let with_template = |step: Value| Story::start(json!({"tasks": [step]}), definitions.clone(), json!({"n": 7}));
    for task_type in ["HTTP", "INLINE", "JSON_JQ_TRANSFORM", "LAMBDA"] {
        let story = with_template(step(task_type, json!({"inputParameters": {"uri": null}})));
        match story.run.server_work(story.id("x")) {
            Some(ServerWork::Http(request)) => assert_eq!(request.uri, "http://7/"),
            Some(ServerWork::Script { .. }) => {}
            other => panic!("{task_type}: {other:?}"),
        }
    }
    assert!(with_template(step("START_WORKFLOW", json!({}))).child().is_some());
    assert_eq!(with_template(step("TERMINATE", json!({}))).status(), WorkflowStatus::Completed);
    let cases = json!({"decisionCases": {"left": [simple("l")]}, "expression": "way", "caseValueParam": "way"});
    for task_type in ["SWITCH", "DECISION"] {
        assert_eq!(with_template(step(task_type, cases.clone())).open(), ["l"], "{task_type}");
    }
}

#[test]
fn a_response_of_2xx_completes_and_another_fails() {
    let get = json!({"uri": "http://h", "method": "GET"});
    let mut story = http(get.clone());
    let response = json!({"statusCode": 201, "reasonPhrase": "Created", "headers": {}, "body": {"id": 1}});
    story.perform("x", response.clone());
    assert_eq!(story.task("x").output.as_ref(), &json!({"response": response}));
    assert_eq!(story.open(), ["after"]);

    let mut story = http(get.clone());
    story.perform("x", json!({"statusCode": 503, "body": "busy"}));
    assert_eq!(story.attempts("x"), [TaskStatus::Failed]);
    assert_eq!(story.task("x").reason.as_deref(), Some("the response has status 503: busy"));

    let mut story = http(get);
    story.perform_fails("x", "connection refused", false);
    assert_eq!(story.task("x").output["response"], "connection refused");
    assert_eq!(story.status(), WorkflowStatus::Failed);
}

#[test]
fn http_is_tried_again_as_its_step_or_definition_says() {
    let step = json!({"name": "call", "taskReferenceName": "x", "type": "HTTP", "inputParameters": {"uri": "http://h", "method": "GET"}});
    let definitions = json!([{"name": "call", "retryCount": 1, "retryDelaySeconds": 5, "responseTimeoutSeconds": 1}]);
    let mut story = Story::start(json!({"tasks": [step]}), definitions, json!({}));
    assert_eq!(story.task("x").timer_at, None, "nobody promised to be heard of");
    story.perform_fails("x", "refused", false);
    assert_eq!(story.attempts("x"), [TaskStatus::Failed, TaskStatus::Scheduled]);
    assert!(story.effects.is_empty(), "not before its delay is over");
    story.restart();
    story.time_out("x");
    assert_eq!(story.now, super::harness::BEGIN.plus_seconds(5));
    story.perform("x", json!({"statusCode": 200}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
}

#[test]
fn an_asynchronous_request_waits_for_an_update() {
    let on_step = json!({"asyncComplete": true, "inputParameters": {"uri": "http://h", "method": "GET"}});
    for mut story in [http(json!({"uri": "http://h", "method": "GET", "asyncComplete": true})), start(step("HTTP", on_step))] {
        story.perform("x", json!({"statusCode": 202}));
        assert_eq!((story.task("x").status, story.task("x").performing), (TaskStatus::InProgress, false));
        story.restart();
        story.complete("x", json!({"done": 1}));
        assert_eq!(story.open(), ["after"]);
    }
}

#[test]
fn an_event_is_published_with_what_it_is_about() {
    let mut story = start(step("EVENT", json!({"sink": "conductor:done", "inputParameters": {"n": "${workflow.input.n}"}})));
    let Some(ServerWork::Publish { sink, payload }) = story.run.server_work(story.id("x")) else { panic!("no message") };
    assert_eq!(sink, "conductor:story:done");
    assert_eq!(
        (&payload["n"], &payload["workflowType"], &payload["correlationId"]),
        (&json!(7), &json!("story"), &json!("order-7"))
    );
    story.perform("x", Value::Null);
    assert_eq!(story.task("x").output["event_produced"], "conductor:story:done");
    assert_eq!(story.open(), ["after"]);
    let mut story = start(step("EVENT", json!({"sink": "conductor", "asyncComplete": true})));
    story.perform("x", Value::Null);
    assert_eq!(story.open(), ["x"]);
    assert_eq!(story.task("x").output["event_produced"], "conductor:story:x");
    story.complete("x", json!({}));
    let story = start(step("EVENT", json!({"sink": "${workflow.input.way}:q"})));
    assert_eq!(story.attempts("x"), [TaskStatus::Failed], "`left` is no kind of queue");
    let mut story = start(step("EVENT", json!({"sink": "amqp_queue:q"})));
    story.perform_fails("x", "no such queue", true);
    assert_eq!(story.task("x").status, TaskStatus::FailedWithTerminalError);
}

#[test]
fn a_join_asks_its_script_each_time_something_is_settled() {
    let fork = json!({"name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [[simple("a")], [simple("b")], [simple("c")]]});
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN", "joinOn": ["a", "b", "c"], "evaluatorType": "javascript",
        "expression": "two of three"});
    let mut story = Story::start(json!({"tasks": [fork, join]}), json!([]), json!({}));
    assert_eq!(story.task("j").turn, 1);
    story.complete("a", json!({"x": 1}));
    assert_eq!(story.task("j").turn, 2);
    let (_, _, _, input) = script(&story, "j");
    assert_eq!(
        (&input["joinOn"], &input["a"]["output"]["x"], &input["b"]["status"]),
        (&json!(["a", "b", "c"]), &json!(1), &json!("SCHEDULED"))
    );
    story.perform("j", json!({"status": "IN_PROGRESS", "reasonForIncompletion": "one is missing"}));
    assert_eq!(story.task("j").status, TaskStatus::InProgress);
    story.restart();
    story.complete("b", json!({}));
    story.perform("j", json!(true));
    assert_eq!(story.task("j").output.as_ref(), &json!({"a": {"x": 1}}));
    assert_eq!(story.open(), ["c"], "the third goes on");
    story.complete("c", json!({}));
    assert_eq!(story.status(), WorkflowStatus::Completed);
}

#[test]
fn a_join_whose_script_never_agrees_fails() {
    let join = json!({"name": "j", "taskReferenceName": "j", "type": "JOIN", "joinOn": ["a"], "evaluatorType": "js", "expression": "false"});
    let mut story = Story::start(json!({"tasks": [simple("a"), join]}), json!([]), json!({}));
    story.complete("a", json!({}));
    story.perform("j", json!(false));
    assert_eq!(story.task("j").status, TaskStatus::FailedWithTerminalError);
}
