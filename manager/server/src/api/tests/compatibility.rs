//! What the SDKs of Conductor were seen to send, one test each.

use axum::body::Body;
use serde_json::{Value, json};

use super::{House, request};

async fn house() -> (House, String) {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    let id = house.start("w").await;
    (house, id)
}

#[tokio::test]
async fn booleans_are_pythons_and_nothing_is_none() {
    let (house, id) = house().await;
    let with = house.get(&format!("/api/workflow/{id}?includeTasks=True")).await.expect(200).json();
    let without = house.get(&format!("/api/workflow/{id}?includeTasks=False")).await.expect(200).json();
    assert!(with["tasks"].is_array() && without.get("tasks").is_none());
    let body = json!({ "name": "w", "version": 1, "input": {} });
    house
        .json("POST", "/api/workflow/execute/w/1?requestId=None&waitUntilTaskRef=None&waitForSeconds=0", body)
        .await
        .expect(200);
}

#[tokio::test]
async fn a_start_has_a_strategy_without_a_key_and_may_lack_an_input() {
    let (house, _) = house().await;
    for _ in 0..2 {
        house.json("POST", "/api/workflow", json!({ "name": "w", "idempotencyStrategy": "FAIL" })).await.expect(200);
    }
    let definition = json!({ "name": "typeless", "version": 1, "enforceSchema": false, "ownerEmail": "a@b.c",
        "tasks": [{ "name": "t", "taskReferenceName": "t" }] });
    house.json("PUT", "/api/metadata/workflow?overwrite=True", json!([definition])).await.expect(200);
    let stored = house.get("/api/metadata/workflow/typeless?metadata=false&version=").await.expect(200).json();
    assert_eq!(stored["tasks"][0]["type"], "SIMPLE");
}

#[tokio::test]
async fn requests_without_a_body_may_have_an_empty_object() {
    let (house, id) = house().await;
    for (method, path, status) in [
        ("PUT", format!("/api/workflow/{id}/pause"), 200),
        ("PUT", format!("/api/workflow/{id}/resume"), 200),
        ("DELETE", format!("/api/workflow/{id}"), 200),
        ("POST", format!("/api/workflow/{id}/restart"), 204),
    ] {
        let with_type = request(method, &path).header("content-type", "application/json").body(Body::from("{}")).unwrap();
        house.raw(with_type).await.expect(status);
    }
}

#[tokio::test]
async fn a_log_is_raw_text_though_it_claims_to_be_json() {
    let (house, _) = house().await;
    let task = house.get("/api/tasks/poll/t?workerid=w").await.expect(200).json();
    let path = format!("/api/tasks/{}/log", task["taskId"].as_str().unwrap());
    let raw = request("POST", &path).header("content-type", "application/json").body(Body::from("not json")).unwrap();
    house.raw(raw).await.expect(200);
    assert_eq!(house.get(&path).await.expect(200).json()[0]["log"], "not json");
}

#[tokio::test]
async fn definitions_come_as_a_list_or_alone() {
    let (house, _) = house().await;
    let definition =
        json!({ "name": "v", "version": 1, "ownerEmail": "a@b.c", "tasks": [{ "name": "t", "taskReferenceName": "t" }] });
    house.json("PUT", "/api/metadata/workflow?overwrite=True", json!([definition])).await.expect(200);
    house.json("PUT", "/api/metadata/workflow", definition.clone()).await.expect(200);
    house.json("POST", "/api/metadata/workflow", definition).await.expect(409);
    house.json("POST", "/api/metadata/taskdefs", json!({ "name": "alone" })).await.expect(200);
}

#[tokio::test]
async fn parts_of_paths_are_percent_encoded() {
    let (house, _) = house().await;
    let definition =
        json!({ "name": "a wf #1", "version": 1, "ownerEmail": "a@b.c", "tasks": [{ "name": "t", "taskReferenceName": "t" }] });
    house.json("POST", "/api/metadata/workflow", definition).await.expect(200);
    assert_eq!(house.get("/api/metadata/workflow/a%20wf%20%231").await.expect(200).json()["name"], "a wf #1");
}

#[tokio::test]
async fn a_search_has_results_and_total_hits_and_takes_what_it_does_not_need() {
    let (house, id) = house().await;
    let path = "/api/workflow/search?queryId=abc&start=0&size=10&sort=startTime:DESC&freeText=*&query=workflowType%3Dw&skipCache=False";
    let found = house.get(path).await.expect(200).json();
    assert_eq!((found["totalHits"].as_i64(), found["results"][0]["workflowId"].as_str()), (Some(1), Some(id.as_str())));
    assert_eq!(found["results"][0]["input"], r#"{"who":"Bob"}"#, "inputs are JSON texts");
    assert!(found["results"][0]["startTime"].as_str().is_some_and(|time| time.ends_with('Z')));
    let by_tasks =
        house.get("/api/workflow/search-by-tasks?query=taskType%3Dt%20AND%20status%3DSCHEDULED").await.expect(200).json();
    assert_eq!(by_tasks["results"][0]["workflowId"].as_str(), Some(id.as_str()));
    let whole = house.get("/api/workflow/search-by-tasks-v2?query=taskType%3Dt").await.expect(200).json();
    assert_eq!(whole["results"][0]["workflowName"], "w");
    let tasks = house.get("/api/tasks/search?query=workflowType%3Dw").await.expect(200).json();
    assert_eq!((tasks["totalHits"].as_i64(), tasks["results"][0]["workflowType"].as_str()), (Some(1), Some("w")));
}

#[tokio::test]
async fn a_body_may_come_in_pieces_without_a_length() {
    let (house, _) = house().await;
    let pieces = ["{\"name\":", "\"w\"}"].map(Ok::<_, std::io::Error>);
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    house.raw(request("POST", "/api/workflow").body(body).unwrap()).await.expect(200);
}

#[tokio::test]
async fn ids_are_bare_text_and_a_204_has_no_body() {
    let (house, id) = house().await;
    let started = house.json("POST", "/api/workflow", json!({ "name": "w" })).await.expect(200);
    assert!(started.header("content-type").starts_with("text/plain") && !started.text().contains('"'));
    house.send("DELETE", &format!("/api/workflow/{id}"), "").await.expect(200);
    let restarted = house.send("POST", &format!("/api/workflow/{id}/restart"), "").await.expect(204);
    assert!(restarted.body.is_empty());
}

#[tokio::test]
async fn times_of_log_lines_may_be_seconds() {
    let (house, id) = house().await;
    let task = house.get("/api/tasks/poll/t?workerid=w").await.expect(200).json();
    let failed = json!({ "taskId": task["taskId"], "workflowInstanceId": id, "status": "FAILED", "reasonForIncompletion": "x",
        "logs": [{ "log": "Traceback", "taskId": task["taskId"], "createdTime": 1_795_327_179.5 }] });
    house.json("POST", "/api/tasks", failed).await.expect(200);
    let log = house.get(&format!("/api/tasks/{}/log", task["taskId"].as_str().unwrap())).await.expect(200).json();
    assert_eq!(log[0]["createdTime"], 1_795_327_179_500_i64);
}

#[tokio::test]
async fn the_size_of_a_queue_is_asked_by_type() {
    let (house, _) = house().await;
    let sizes: Value = house.get("/api/tasks/queue/sizes?taskType=t&taskType=u").await.expect(200).json();
    assert_eq!((sizes["t"].as_i64(), sizes["u"].as_i64()), (Some(1), Some(0)));
}

#[tokio::test]
async fn a_skip_has_its_request_in_the_form_of_the_callers_language() {
    let (house, id) = house().await;
    house.define_chain("two", &["t", "u"]).await;
    let skipped = async |request: &str| {
        let run = house.start("two").await;
        house.send("PUT", &format!("/api/workflow/{run}/skiptask/u_1?skipTaskRequest={request}"), "").await.expect(200);
        house.workflow(&run).await["tasks"][1].clone()
    };
    // {'taskInput': {'n': None}, 'taskOutput': {'a': "it's"}}, and no body.
    let python = "%7B%27taskInput%27%3A+%7B%27n%27%3A+None%7D%2C+%27taskOutput%27%3A+%7B%27a%27%3A+%22it%27s%22%7D%7D";
    let task = skipped(python).await;
    assert_eq!((&task["inputData"], &task["outputData"]), (&json!({ "n": null }), &json!({ "a": "it's" })));
    let unreadable = "SkipTaskRequest%28task_input%3DNone%2C+task_output%3D%7B%27a%27%3A+1%7D%29";
    assert_eq!(skipped(unreadable).await["outputData"], json!({}));
    house.send("PUT", &format!("/api/workflow/{id}/skiptask/nothing?skipTaskRequest={unreadable}"), "").await.expect(404);
}

#[tokio::test]
async fn a_schedule_is_paused_by_put_and_where_that_fails_by_get() {
    let (house, _) = house().await;
    let schedule = json!({ "name": "s", "cronExpression": "0 0 3 * * ?", "startWorkflowRequest": { "name": "w" } });
    house.json("POST", "/api/scheduler/schedules", schedule).await.expect(200);
    for method in ["PUT", "GET"] {
        house.send(method, "/api/scheduler/schedules/s/pause", "").await.expect(200);
        house.send(method, "/api/scheduler/schedules/s/resume", "").await.expect(200);
    }
}

#[tokio::test]
async fn an_event_handler_comes_in_a_list_from_python() {
    let (house, _) = house().await;
    let handler = |name: &str| json!({ "name": name, "event": "conductor:kitchen:ev", "active": true, "actions": [{ "action": "terminate_workflow", "terminate_workflow": { "workflowId": "${id}" } }] });
    house.json("POST", "/api/event", json!([handler("listed")])).await.expect(200);
    house.json("POST", "/api/event", handler("alone")).await.expect(200);
    let found = house.get("/api/event/conductor%3Akitchen%3Aev?activeOnly=True").await.expect(200).json();
    assert_eq!(found.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_another_product_has_and_this_one_too_is_answered() {
    let (house, id) = house().await;
    house.json("POST", &format!("/api/workflow/{id}/variables"), json!({ "stage": 2 })).await.expect(200);
    assert_eq!(house.workflow(&id).await["variables"]["stage"], 2);
    house
        .json("POST", "/api/workflow/correlated/batch", json!({ "workflowNames": ["w"], "correlationIds": ["c"] }))
        .await
        .expect(200);
    house.get("/api/schema").await.expect(200);
}

#[tokio::test]
async fn what_only_another_product_has_is_a_404_in_json_and_a_wrong_method_a_405() {
    let (house, id) = house().await;
    for path in [
        format!("/api/workflow/{id}/upgrade"),
        format!("/api/workflow/{id}/jump/t_0"),
        "/api/metadata/tags".to_owned(),
        "/api/users".to_owned(),
        "/api/roles".to_owned(),
        "/api/integrations/provider".to_owned(),
        "/api/groups".to_owned(),
        "/api/applications".to_owned(),
        "/api/prompts".to_owned(),
        "/api/registry/service".to_owned(),
        "/api/gateway/config/service".to_owned(),
    ] {
        let answer = house.json("POST", &path, json!({})).await.expect(404).json();
        assert_eq!((answer["status"].as_i64(), answer["message"].is_string()), (Some(404), true), "{path}");
    }
    let wrong = house.json("PATCH", &format!("/api/workflow/{id}"), json!({})).await.expect(405);
    assert_eq!(wrong.json()["status"], 405);
}
