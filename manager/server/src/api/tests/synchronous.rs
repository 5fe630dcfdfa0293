//! Starting and waiting, and signals.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::House;

fn wait(reference: &str) -> Value {
    json!({ "name": "wait", "taskReferenceName": reference, "type": "WAIT" })
}

fn step(name: &str, reference: &str) -> Value {
    json!({ "name": name, "taskReferenceName": reference })
}

async fn execute(house: &House, name: &str, query: &str) -> Value {
    let body = json!({ "name": name, "version": 1, "input": { "who": "Bob" }, "idempotencyStrategy": "FAIL" });
    house.json("POST", &format!("/api/workflow/execute/{name}/1?{query}"), body).await.expect(200).json()
}

#[tokio::test]
async fn execution_answers_when_the_workflow_is_over() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    let began = Instant::now();
    let worker = async {
        let task = house.get("/api/tasks/poll/batch/t?workerid=w&timeout=5000").await.expect(200).json()[0].clone();
        let done = json!({ "taskId": task["taskId"], "workflowInstanceId": task["workflowInstanceId"], "status": "COMPLETED", "outputData": { "n": 7 } });
        house.json("POST", "/api/tasks", done).await.expect(200);
    };
    let (run, ()) = tokio::join!(execute(&house, "w", "requestId=r-1&waitForSeconds=30&waitUntilTaskRef=None"), worker);
    assert_eq!((run["status"].as_str(), run["output"]["n"].as_i64()), (Some("COMPLETED"), Some(7)));
    assert_eq!((run["requestId"].as_str(), run["responseType"].as_str()), (Some("r-1"), Some("TARGET_WORKFLOW")));
    assert_eq!(run["targetWorkflowId"], run["workflowId"]);
    assert!(began.elapsed() < Duration::from_secs(10), "the end was told, not found out by waiting");
}

#[tokio::test]
async fn execution_answers_at_a_step_that_waits_and_signals_lead_on() {
    let house = House::new();
    house.json("POST", "/api/metadata/taskdefs", json!([{ "name": "t" }])).await.expect(200);
    house.define("w", json!([wait("first"), wait("second"), step("t", "last")])).await;
    let run = execute(&house, "w", "returnStrategy=BLOCKING_TASK&waitForSeconds=30").await;
    assert_eq!((run["responseType"].as_str(), run["referenceTaskName"].as_str()), (Some("BLOCKING_TASK"), Some("first")));
    let id = run["workflowId"].as_str().unwrap().to_owned();
    let next = house
        .json("POST", &format!("/api/tasks/{id}/COMPLETED/signal/sync?returnStrategy=BLOCKING_TASK_INPUT"), json!({ "a": 1 }))
        .await
        .expect(200)
        .json();
    assert_eq!(next["referenceTaskName"], "second", "{next}");
    assert!(
        house.json("POST", &format!("/api/tasks/{id}/COMPLETED/signal"), json!({ "b": 2 })).await.expect(200).body.is_empty()
    );
    house.work("t", "COMPLETED", json!({})).await;
    let workflow = house.workflow(&id).await;
    assert_eq!(workflow["status"], "COMPLETED");
    assert_eq!(workflow["tasks"][1]["outputData"]["b"], 2);
    house.json("POST", &format!("/api/tasks/{id}/COMPLETED/signal"), json!({})).await.expect(404);
}

#[tokio::test]
async fn a_step_in_a_sub_workflow_blocks_too() {
    let house = House::new();
    house.define("inner", json!([wait("deep")])).await;
    let sub = json!({ "name": "sub", "taskReferenceName": "sub", "type": "SUB_WORKFLOW", "subWorkflowParam": { "name": "inner", "version": 1 } });
    house.define("outer", json!([sub])).await;
    let run = execute(&house, "outer", "returnStrategy=BLOCKING_WORKFLOW&waitForSeconds=30").await;
    assert_eq!((run["workflowType"].as_str(), run["responseType"].as_str()), (Some("inner"), Some("BLOCKING_WORKFLOW")));
    let id = run["targetWorkflowId"].as_str().unwrap();
    let over =
        house.json("POST", &format!("/api/tasks/{id}/COMPLETED/signal/sync"), json!({ "x": 1 })).await.expect(200).json();
    assert_eq!((over["workflowName"].as_str(), over["status"].as_str()), (Some("outer"), Some("COMPLETED")));
}

#[tokio::test]
async fn execution_answers_behind_a_step_and_when_the_time_is_over() {
    let house = House::new();
    house.define_chain("w", &["t", "u"]).await;
    let worker = async {
        while house.get("/api/workflow/search").await.json()["totalHits"] == 0 {
            tokio::task::yield_now().await;
        }
        house.work("t", "COMPLETED", json!({})).await;
    };
    let (run, ()) = tokio::join!(execute(&house, "w", "waitUntilTaskRef=x,t_0&waitForSeconds=30"), worker);
    assert_eq!((run["status"].as_str(), run["tasks"][0]["status"].as_str()), (Some("RUNNING"), Some("COMPLETED")));
    let late = execute(&house, "w", "waitForSeconds=0").await;
    assert_eq!(late["status"], "RUNNING");
    let body = json!({ "input": {} });
    house.json("POST", "/api/workflow/execute/w/1?waitForSeconds=9999", body.clone()).await.expect(400);
    house.json("POST", "/api/workflow/execute/w/1?returnStrategy=NONE", body).await.expect(400);
}

#[tokio::test]
async fn state_is_updated_and_waited_for() {
    let house = House::new();
    house.define("w", json!([wait("first"), wait("second")])).await;
    let id = house.start("w").await;
    let update = json!({ "taskReferenceName": "first", "taskResult": { "status": "COMPLETED", "outputData": { "a": 1 } }, "variables": { "v": 2 } });
    let run = house.json("POST", &format!("/api/workflow/{id}/state?waitForSeconds=5"), update).await.expect(200).json();
    assert_eq!((run["variables"]["v"].as_i64(), run["tasks"][0]["outputData"]["a"].as_i64()), (Some(2), Some(1)));
    assert_eq!(run["tasks"][1]["status"], "IN_PROGRESS");
}

#[tokio::test]
async fn a_definition_is_tried_out_with_given_outcomes_and_leaves_no_trace() {
    let house = House::new();
    house
        .json("POST", "/api/metadata/taskdefs", json!([{ "name": "t", "retryCount": 2, "retryDelaySeconds": 60 }]))
        .await
        .expect(200);
    let definition = json!({ "name": "tried", "version": 1, "ownerEmail": "a@b.c", "outputParameters": { "n": "${last.output.n}" }, "tasks": [
        step("t", "first"),
        { "name": "s", "taskReferenceName": "s", "type": "SWITCH", "evaluatorType": "value-param", "expression": "way",
          "inputParameters": { "way": "${first.output.way}" },
          "decisionCases": { "wait": [{ "name": "w", "taskReferenceName": "w", "type": "WAIT", "inputParameters": { "duration": "2 days" } }] } },
        step("t", "last"),
    ] });
    let test = json!({ "name": "tried", "version": 1, "workflowDef": definition, "input": {}, "taskRefToMockOutput": {
        "first": [{ "status": "FAILED", "output": {} }, { "status": "COMPLETED", "output": { "way": "wait" }, "executionTime": 10, "queueWaitTime": 5 }],
        "last": [{ "output": { "n": 7 } }],
    } });
    let run = house.json("POST", "/api/workflow/test", test).await.expect(200).json();
    assert_eq!((run["status"].as_str(), run["output"]["n"].as_i64()), (Some("COMPLETED"), Some(7)), "{run:#}");
    let statuses: Vec<_> = run["tasks"].as_array().unwrap().iter().map(|task| task["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["FAILED", "COMPLETED", "COMPLETED", "COMPLETED", "COMPLETED"]);
    let took = run["endTime"].as_i64().unwrap() - run["startTime"].as_i64().unwrap();
    assert!(took >= 2 * 86_400_000, "the wait took its time, on a clock of its own: {took}");
    assert_eq!(house.get("/api/workflow/search").await.json()["totalHits"], 0);
    let open = json!({ "name": "tried", "workflowDef": definition, "taskRefToMockOutput": {} });
    assert_eq!(house.json("POST", "/api/workflow/test", open).await.expect(200).json()["status"], "RUNNING");
    house.json("POST", "/api/workflow/test", json!({ "name": "nothing" })).await.expect(404);
}
