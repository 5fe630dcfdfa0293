//! Everything that can be done with a workflow besides starting and ending it.

use serde_json::json;

use super::House;

#[tokio::test]
async fn a_failed_workflow_is_retried_where_it_failed() {
    let house = House::new();
    house.define_chain("w", &["t", "u"]).await;
    let id = house.start("w").await;
    house.json("POST", &format!("/api/workflow/{id}/retry"), json!({})).await.expect(409);
    house.work("t", "COMPLETED", json!({})).await;
    house.work("u", "FAILED", json!({})).await;
    assert_eq!(house.workflow(&id).await["status"], "FAILED");
    let retried = house.json("POST", &format!("/api/workflow/{id}/retry?resumeSubworkflowTasks=False"), json!({})).await;
    assert!(retried.expect(204).body.is_empty());
    house.work("u", "COMPLETED", json!({ "n": 2 })).await;
    let workflow = house.workflow(&id).await;
    assert_eq!((workflow["status"].as_str(), workflow["tasks"].as_array().map(Vec::len)), (Some("COMPLETED"), Some(3)));
    assert_eq!(workflow["tasks"][2]["retriedTaskId"], workflow["tasks"][1]["taskId"]);
    house.json("POST", &format!("/api/workflow/{id}/retry"), json!({})).await.expect(409);
}

#[tokio::test]
async fn a_workflow_is_restarted_by_the_newest_definition() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    let id = house.start("w").await;
    house.json("POST", &format!("/api/workflow/{id}/restart"), json!({})).await.expect(409);
    house.work("t", "COMPLETED", json!({})).await;
    house.json("POST", "/api/metadata/taskdefs", json!([{ "name": "other" }])).await.expect(200);
    let newer =
        json!({ "name": "w", "version": 2, "ownerEmail": "a@b.c", "tasks": [{ "name": "other", "taskReferenceName": "o" }] });
    house.json("POST", "/api/metadata/workflow", newer).await.expect(200);
    house.send("POST", &format!("/api/workflow/{id}/restart?useLatestDefinitions=True"), "").await.expect(204);
    assert_eq!(house.work("other", "COMPLETED", json!({ "by": 2 })).await["referenceTaskName"], "o");
    let workflow = house.workflow(&id).await;
    assert_eq!((workflow["status"].as_str(), workflow["tasks"].as_array().map(Vec::len)), (Some("COMPLETED"), Some(1)));
    assert_eq!(workflow["workflowDefinition"]["version"], 2);
}

#[tokio::test]
async fn a_workflow_runs_once_more_from_a_task_with_another_input() {
    let house = House::new();
    house.define_chain("w", &["t", "u"]).await;
    let id = house.start("w").await;
    let first = house.work("t", "COMPLETED", json!({})).await;
    let second = house.work("u", "COMPLETED", json!({})).await;
    let path = format!("/api/workflow/{id}/rerun");
    house.json("POST", &path, json!({ "reRunFromTaskId": id })).await.expect(400);
    house.json("POST", &path, json!({ "reRunFromTaskId": "not-an-id" })).await.expect(400);
    let rerun = json!({ "reRunFromWorkflowId": id, "reRunFromTaskId": second["taskId"], "taskInput": { "who": "Eve" } });
    assert_eq!(house.json("POST", &path, rerun).await.expect(200).text(), id);
    let again = house.work("u", "COMPLETED", json!({})).await;
    assert_eq!(again["inputData"]["who"], "Eve");
    let workflow = house.workflow(&id).await;
    assert_eq!(workflow["status"], "COMPLETED");
    assert_eq!(workflow["tasks"][0]["taskId"], first["taskId"], "what came before stays");
    house.json("POST", &path, json!({ "workflowInput": { "who": "Zoe" }, "correlationId": "again" })).await.expect(200);
    assert_eq!(house.work("t", "COMPLETED", json!({})).await["inputData"]["who"], "Zoe");
    let found = house.get("/api/workflow/search?query=correlationId%3Dagain").await.expect(200).json();
    assert_eq!(found["totalHits"], 1);
}

#[tokio::test]
async fn a_step_is_skipped_before_its_turn() {
    let house = House::new();
    house.define_chain("w", &["t", "u"]).await;
    let id = house.start("w").await;
    let skip = |step: &str| format!("/api/workflow/{id}/skiptask/{step}?skipTaskRequest=%7B%27task_input%27%3A+None%7D");
    house.json("PUT", &skip("t_0"), json!({})).await.expect(409);
    house.json("PUT", &skip("nothing"), json!({})).await.expect(404);
    house.json("PUT", &skip("u_1"), json!({ "taskOutput": { "from": "outside" } })).await.expect(200);
    house.work("t", "COMPLETED", json!({})).await;
    let workflow = house.workflow(&id).await;
    assert_eq!((workflow["status"].as_str(), workflow["tasks"][1]["status"].as_str()), (Some("COMPLETED"), Some("SKIPPED")));
    assert_eq!(workflow["tasks"][1]["outputData"]["from"], "outside");
}

#[tokio::test]
async fn callbacks_are_reset_and_a_workflow_can_be_looked_at() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    let id = house.start("w").await;
    let task = house.get("/api/tasks/poll/t?workerid=w").await.expect(200).json();
    let later =
        json!({ "taskId": task["taskId"], "workflowInstanceId": id, "status": "IN_PROGRESS", "callbackAfterSeconds": 3600 });
    house.json("POST", "/api/tasks", later).await.expect(200);
    house.get("/api/tasks/poll/t?workerid=w").await.expect(204);
    house.send("PUT", &format!("/api/workflow/decide/{id}"), "").await.expect(200);
    house.json("POST", &format!("/api/workflow/{id}/resetcallbacks"), json!({})).await.expect(204);
    house.work("t", "COMPLETED", json!({})).await;
}

#[tokio::test]
async fn a_workflow_that_is_ended_starts_its_failure_workflow_where_that_is_asked_for() {
    let house = House::new();
    house.define_chain("cleanup", &["tidy"]).await;
    house.json("POST", "/api/metadata/taskdefs", json!([{ "name": "t" }])).await.expect(200);
    let definition = json!({ "name": "w", "failureWorkflow": "cleanup", "ownerEmail": "a@b.c", "tasks": [{ "name": "t", "taskReferenceName": "t" }] });
    house.json("POST", "/api/metadata/workflow", definition).await.expect(200);
    let (one, two, three) = (house.start("w").await, house.start("w").await, house.start("w").await);
    house.send("DELETE", &format!("/api/workflow/{one}?reason=because&triggerFailureWorkflow=False"), "").await.expect(200);
    house.get("/api/tasks/poll/tidy").await.expect(204);
    house.send("DELETE", &format!("/api/workflow/{two}?reason=because&triggerFailureWorkflow=True"), "").await.expect(200);
    let path = "/api/workflow/bulk/terminate?reason=all&triggerFailureWorkflow=True";
    let answer = house.json("POST", path, json!([one, three])).await.expect(200).json();
    assert_eq!(answer["bulkSuccessfulResults"], json!([one, three]));
    for (run, reason) in [(&two, "because"), (&three, "all")] {
        let ended = house.workflow(run).await;
        assert_eq!(ended["status"], "TERMINATED");
        let cleanup = house.workflow(ended["output"]["conductor.failure_workflow"].as_str().unwrap()).await;
        assert_eq!((&cleanup["input"]["workflowId"], &cleanup["input"]["reason"]), (&json!(run), &json!(reason)));
    }
    assert_eq!(house.get("/api/workflow/running/cleanup").await.json().as_array().map(Vec::len), Some(2), "none for the first");
}

#[tokio::test]
async fn what_a_paused_workflow_has_still_out_is_seen() {
    let house = House::new();
    house.define_chain("w", &["t", "u"]).await;
    let id = house.start("w").await;
    let task = house.get("/api/tasks/poll/t?workerid=w1").await.expect(200).json();
    house.send("PUT", &format!("/api/workflow/{id}/pause"), "").await.expect(200);
    let out = async || house.get(&format!("/api/workflow/{id}/tasks?status=IN_PROGRESS")).await.expect(200).json();
    let found = out().await;
    assert_eq!((&found["totalHits"], &found["results"][0]["taskId"]), (&json!(1), &task["taskId"]));
    assert_eq!(found["results"][0]["workerId"], "w1");
    let done = json!({ "taskId": task["taskId"], "workflowInstanceId": id, "status": "COMPLETED" });
    house.json("POST", "/api/tasks", done).await.expect(200);
    assert_eq!(out().await["totalHits"], 0, "drained, and nothing new is begun");
    assert_eq!(house.workflow(&id).await["tasks"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_workflow_that_is_over_is_removed_with_everything() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    let id = house.start("w").await;
    let refused = house.send("DELETE", &format!("/api/workflow/{id}/remove"), "").await.expect(409).json();
    assert_eq!(refused["code"], "workflow-not-over");
    let task = house.work("t", "COMPLETED", json!({})).await;
    house.send("DELETE", &format!("/api/workflow/{id}/remove?archiveWorkflow=true"), "").await.expect(200);
    house.get(&format!("/api/workflow/{id}")).await.expect(404);
    house.get(&format!("/api/tasks/{}", task["taskId"].as_str().unwrap())).await.expect(404);
    house.send("DELETE", &format!("/api/workflow/{id}/remove"), "").await.expect(404);
    let running = house.start("w").await;
    house.send("DELETE", &format!("/api/workflow/{running}/terminate-remove?reason=enough"), "").await.expect(200);
    house.get(&format!("/api/workflow/{running}")).await.expect(404);
    house.get("/api/tasks/poll/t?workerid=w").await.expect(204);
    assert_eq!(house.get("/api/workflow/search").await.json()["totalHits"], 0);
}

#[tokio::test]
async fn variables_are_set_from_outside() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    let id = house.start("w").await;
    let shown =
        house.json("POST", &format!("/api/workflow/{id}/variables"), json!({ "colour": "red" })).await.expect(200).json();
    assert_eq!(shown["variables"]["colour"], "red");
    house.work("t", "COMPLETED", json!({})).await;
    house.json("POST", &format!("/api/workflow/{id}/variables"), json!({ "colour": "blue" })).await.expect(409);
}

#[tokio::test]
async fn a_payload_elsewhere_is_refused_with_a_way_out() {
    let house = House::new();
    for path in ["/api/workflow/externalstoragelocation?path=a&operation=WRITE", "/api/tasks/externalstoragelocation"] {
        let refused = house.get(path).await.expect(400).json();
        assert_eq!(refused["code"], "external-payload-unsupported");
        assert!(refused["message"].as_str().unwrap().contains("/resources"), "{refused}");
    }
}
