//! Definitions that are tried out: with what is registered, and with outcomes that are given.

use serde_json::{Value, json};

use super::House;

fn step(task_type: &str, reference: &str, more: &Value) -> Value {
    let mut step = json!({ "name": reference, "taskReferenceName": reference, "type": task_type });
    step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    step
}

fn definition(name: &str, tasks: &Value) -> Value {
    json!({ "name": name, "version": 1, "tasks": tasks })
}

/// Tries out the steps, with outcomes by reference.
async fn tried(house: &House, tasks: Value, outcomes: Value) -> Value {
    let body = json!({ "name": "tried", "workflowDef": definition("tried", &tasks), "taskRefToMockOutput": outcomes });
    house.json("POST", "/api/workflow/test", body).await.expect(200).json()
}

fn statuses(run: &Value) -> Vec<String> {
    let shown = |task: &Value| format!("{} {}", task["referenceTaskName"].as_str().unwrap(), task["status"].as_str().unwrap());
    run["tasks"].as_array().unwrap().iter().map(shown).collect()
}

#[tokio::test]
async fn a_wait_until_a_moment_knows_the_zones_of_the_world() {
    let house = House::new();
    let wait = |until: &str| json!([step("WAIT", "w", &json!({ "inputParameters": { "until": until } }))]);
    let run = tried(&house, wait("2040-06-01 12:00 Europe/Berlin"), json!({})).await;
    assert_eq!(run["status"], "COMPLETED", "{run:#}");
    assert_eq!(run["endTime"], 2_222_157_600_000_i64, "ten o'clock in UTC");
}

#[tokio::test]
async fn what_is_found_when_it_is_reached_runs_by_its_registered_definition() {
    let house = House::new();
    let registered = json!([{ "name": "t", "retryCount": 1, "retryDelaySeconds": 5, "inputTemplate": { "from": "template" } }]);
    house.json("POST", "/api/metadata/taskdefs", registered).await.expect(200);
    let failing = json!([{ "status": "FAILED" }, { "status": "COMPLETED", "output": { "n": 1 } }]);
    let dynamic = step("DYNAMIC", "d", &json!({ "inputParameters": { "taskToExecute": "t" } }));
    let run = tried(&house, json!([dynamic]), json!({ "d": failing })).await;
    assert_eq!(statuses(&run), ["d FAILED", "d COMPLETED"], "tried again as the definition says");
    let branches = json!([{ "name": "t", "taskReferenceName": "a" }, { "name": "t", "taskReferenceName": "b" }]);
    let fork =
        step("FORK_JOIN_DYNAMIC", "f", &json!({ "dynamicForkTasksParam": "list", "inputParameters": { "list": branches } }));
    let join = step("JOIN", "j", &json!({}));
    let run = tried(&house, json!([fork, join]), json!({ "a": failing, "b": [{ "output": { "n": 2 } }] })).await;
    assert_eq!(run["status"], "COMPLETED", "{run:#}");
    let tasks = run["tasks"].as_array().unwrap();
    let of = |reference: &str| tasks.iter().filter(|task| task["referenceTaskName"] == reference).collect::<Vec<_>>();
    assert_eq!((of("a").len(), of("b").len()), (2, 1));
    assert_eq!(of("b")[0]["inputData"], json!({ "from": "template" }));
    assert_eq!(of("j")[0]["outputData"], json!({ "a": { "n": 1 }, "b": { "n": 2 } }));
}

#[tokio::test]
async fn schemas_hold_as_in_a_real_run() {
    let house = House::new();
    let data = json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "required": ["n"] });
    house
        .json("POST", "/api/schema", json!({ "name": "with-n", "version": 1, "type": "JSON", "data": data }))
        .await
        .expect(200);
    let schema = json!({ "name": "with-n", "version": 1 });
    let task = json!([{ "name": "t", "enforceSchema": true, "outputSchema": schema, "retryCount": 0 }]);
    house.json("POST", "/api/metadata/taskdefs", task).await.expect(200);
    let mut strict = definition("strict", &json!([step("SIMPLE", "t", &json!({}))]));
    strict["inputSchema"] = schema;
    let test = async |input: Value, output: Value| {
        let body = json!({ "name": "strict", "workflowDef": strict, "input": input, "taskRefToMockOutput": { "t": [{ "output": output }] } });
        house.json("POST", "/api/workflow/test", body).await
    };
    let refused = test(json!({}), json!({ "n": 1 })).await.expect(400).json();
    assert_eq!(refused["code"], "schema-violated", "{refused}");
    let run = test(json!({ "n": 1 }), json!({ "n": "text" })).await.expect(200).json();
    assert_eq!(statuses(&run), ["t FAILED_WITH_TERMINAL_ERROR"]);
    assert_eq!(test(json!({ "n": 1 }), json!({ "n": 2 })).await.expect(200).json()["status"], "COMPLETED");
    // What is given in place is checked as what is registered.
    strict["inputSchema"] = json!({ "name": "x", "data": { "type": "no-such-type" } });
    let body = json!({ "name": "strict", "workflowDef": strict });
    for path in ["/api/workflow/test", "/api/workflow"] {
        let refused = house.json("POST", path, body.clone()).await.expect(400).json();
        assert_eq!(refused["validationErrors"][0]["path"], "inputSchema.data", "{refused}");
    }
}

#[tokio::test]
async fn a_sub_workflow_is_tried_out_with_outcomes_of_its_own() {
    let house = House::new();
    house.json("POST", "/api/metadata/taskdefs", json!([{ "name": "t" }])).await.expect(200);
    let child = json!([
        step("SIMPLE", "t", &json!({})),
        step("WAIT", "pause", &json!({ "inputParameters": { "duration": "1 days" } }))
    ]);
    let mut child = definition("child", &child);
    child["outputParameters"] = json!({ "n": "${t.output.n}", "who": "${workflow.input.who}" });
    house.json("POST", "/api/metadata/workflow", child).await.expect(200);
    let sub =
        step("SUB_WORKFLOW", "sub", &json!({ "subWorkflowParam": { "name": "child" }, "inputParameters": { "who": "Bob" } }));
    let parent = definition("parent", &json!([sub]));
    let test = |child: Value| json!({ "name": "parent", "workflowDef": parent, "subWorkflowTestRequest": { "sub": child } });
    let given = json!({ "name": "child", "taskRefToMockOutput": { "t": [{ "output": { "n": 7 } }] } });
    let run = house.json("POST", "/api/workflow/test", test(given)).await.expect(200).json();
    assert_eq!(run["status"], "COMPLETED", "{run:#}");
    let output = &run["tasks"][0]["outputData"];
    assert_eq!((&output["n"], &output["who"]), (&json!(7), &json!("Bob")), "{output}");
    assert!(run["endTime"].as_i64().unwrap() - run["startTime"].as_i64().unwrap() >= 86_400_000, "the child's day passed");
    let failing = json!({ "name": "child", "taskRefToMockOutput": { "t": [{ "status": "FAILED_WITH_TERMINAL_ERROR" }] } });
    let run = house.json("POST", "/api/workflow/test", test(failing)).await.expect(200).json();
    assert_eq!((run["status"].as_str(), statuses(&run)), (Some("FAILED"), vec!["sub FAILED".to_owned()]));
    // Without outcomes the child stands where it waits, and so does the parent.
    let run = house.json("POST", "/api/workflow/test", test(json!({ "name": "child" }))).await.expect(200).json();
    assert_eq!((run["status"].as_str(), statuses(&run)), (Some("RUNNING"), vec!["sub IN_PROGRESS".to_owned()]));
}

#[tokio::test]
async fn a_sub_workflow_that_is_tried_out_with_a_wrong_input_is_refused_as_it_would_be() {
    let house = House::new();
    house.json("POST", "/api/metadata/taskdefs", json!([{ "name": "t" }])).await.expect(200);
    let mut child = definition("child", &json!([step("SIMPLE", "t", &json!({}))]));
    child["inputSchema"] = json!({ "name": "s", "data": { "properties": { "n": { "type": "integer" } } } });
    house.json("POST", "/api/metadata/workflow", child).await.expect(200);
    let sub = step("SUB_WORKFLOW", "sub", &json!({ "subWorkflowParam": { "name": "child" }, "inputParameters": { "n": "x" } }));
    let body = json!({ "name": "parent", "workflowDef": definition("parent", &json!([sub])) });
    let run = house.json("POST", "/api/workflow/test", body).await.expect(200).json();
    assert_eq!(statuses(&run), ["sub FAILED_WITH_TERMINAL_ERROR"], "{run:#}");
    let reason = run["tasks"][0]["reasonForIncompletion"].as_str().unwrap();
    assert!(reason.starts_with("workflow child cannot be started: the input does not fit its schema: input/n"), "{reason}");
}

#[tokio::test]
async fn requests_and_messages_are_not_sent() {
    let house = House::new();
    let http = step("HTTP", "call", &json!({ "inputParameters": { "uri": "http://127.0.0.1:9/", "method": "GET" } }));
    let event = step("EVENT", "tell", &json!({ "sink": "conductor:news", "inputParameters": { "a": 1 } }));
    let answer = json!({ "response": { "statusCode": 200, "body": { "n": 7 } } });
    let outcomes = json!({ "call": [{ "output": answer }], "tell": [{ "output": { "given": true } }] });
    let run = tried(&house, json!([http, event]), outcomes).await;
    assert_eq!(statuses(&run), ["call COMPLETED", "tell COMPLETED"]);
    assert_eq!((&run["tasks"][0]["outputData"], &run["tasks"][1]["outputData"]["given"]), (&answer, &json!(true)));
    // A message counts as published where nothing is given; a request must have an answer.
    let run = tried(&house, json!([event, http]), json!({})).await;
    assert_eq!(statuses(&run), ["tell COMPLETED", "call FAILED_WITH_TERMINAL_ERROR"]);
    assert_eq!(run["tasks"][0]["outputData"]["event_produced"], "conductor:tried:news");
    assert!(run["reasonForIncompletion"].as_str().unwrap().contains("taskRefToMockOutput"), "{run:#}");
}

#[tokio::test]
async fn each_round_of_a_loop_takes_the_next_outcome() {
    let house = House::new();
    let body = json!([step("SIMPLE", "t", &json!({}))]);
    let looping = step("DO_WHILE", "lp", &json!({ "loopOver": body, "loopCondition": "$.lp['1'].t.n + $.t.n < 5" }));
    let outcomes = json!({ "t": [{ "output": { "n": 1 } }, { "output": { "n": 2 } }, { "output": { "n": 4 } }] });
    let run = tried(&house, json!([looping]), outcomes).await;
    assert_eq!(run["status"], "COMPLETED", "{run:#}");
    let expected = json!({ "1": { "t": { "n": 1 } }, "2": { "t": { "n": 2 } }, "3": { "t": { "n": 4 } }, "iteration": 3 });
    assert_eq!(run["tasks"][0]["outputData"], expected);
}
