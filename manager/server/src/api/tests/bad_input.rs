//! Bad input: a clear error, and nothing half-written.

use axum::body::Body;
use bytes::Bytes;
use serde_json::{Value, json};

use super::House;

/// What is stored of definitions and workflows.
async fn stored(house: &House) -> (Value, Value, Value) {
    (
        house.get("/api/metadata/taskdefs").await.json(),
        house.get("/api/metadata/workflow").await.json(),
        house.get("/api/workflow/search").await.json()["totalHits"].clone(),
    )
}

/// One bad request: what it is, method, path, body, and the status, code and words of its refusal.
type Case = (&'static str, &'static str, &'static str, String, u16, &'static str, &'static [&'static str]);

fn workflow(tasks: &Value) -> String {
    json!({ "name": "w2", "tasks": tasks }).to_string()
}

fn cases() -> Vec<Case> {
    let long = "n".repeat(300);
    vec![
        ("malformed JSON", "POST", "/api/workflow", "{\"name\": \"w\",\n  }".to_owned(), 400, "json-malformed", &["line 2"]),
        (
            "JSON cut short",
            "POST",
            "/api/metadata/taskdefs",
            "[{\"name\": \"t\"".to_owned(),
            400,
            "json-malformed",
            &["EOF", "line 1"],
        ),
        ("no body", "POST", "/api/metadata/workflow", String::new(), 400, "body-missing", &["no body"]),
        ("a text where an object is meant", "POST", "/api/workflow", "\"w\"".to_owned(), 400, "json-invalid", &["string"]),
        (
            "a number for a name",
            "POST",
            "/api/metadata/taskdefs",
            json!([{ "name": "ok" }, { "name": 7 }]).to_string(),
            400,
            "json-invalid",
            &["[1].name", "expected a string"],
        ),
        (
            "a text for a number",
            "POST",
            "/api/metadata/taskdefs",
            json!([{ "name": "t", "retryCount": "3" }]).to_string(),
            400,
            "json-invalid",
            &["[0].retryCount"],
        ),
        (
            "an unknown retry logic",
            "POST",
            "/api/metadata/taskdefs",
            json!([{ "name": "t", "retryLogic": "NEVER" }]).to_string(),
            400,
            "json-invalid",
            &["retryLogic", "EXPONENTIAL_BACKOFF"],
        ),
        (
            "an unknown key in agent",
            "POST",
            "/api/metadata/taskdefs",
            json!([{ "name": "t", "agent": { "plugin": "p", "operation": "o", "lables": 1 } }]).to_string(),
            400,
            "json-invalid",
            &["agent", "lables"],
        ),
        (
            "a plugin that is not there",
            "POST",
            "/api/metadata/taskdefs",
            json!([{ "name": "t", "agent": { "plugin": "none", "operation": "o" } }]).to_string(),
            400,
            "definition-invalid",
            &["agent.plugin"],
        ),
        (
            "an operation that is not there",
            "POST",
            "/api/metadata/taskdefs",
            json!([{ "name": "t", "agent": { "plugin": "greeter", "operation": "shout" } }]).to_string(),
            400,
            "definition-invalid",
            &["agent.operation", "shout"],
        ),
        (
            "a name with rubbish",
            "POST",
            "/api/metadata/taskdefs",
            json!([{ "name": "a\u{0}b" }]).to_string(),
            400,
            "definition-invalid",
            &["name"],
        ),
        (
            "a name that is too long",
            "POST",
            "/api/metadata/workflow",
            json!({ "name": long, "tasks": [{ "name": "t", "taskReferenceName": "t" }] }).to_string(),
            400,
            "definition-invalid",
            &["name", "255"],
        ),
        (
            "timeouts that contradict",
            "POST",
            "/api/metadata/taskdefs",
            json!([{ "name": "t", "timeoutSeconds": 5, "responseTimeoutSeconds": 10 }]).to_string(),
            400,
            "definition-invalid",
            &["responseTimeoutSeconds"],
        ),
        (
            "one bad among good ones",
            "POST",
            "/api/metadata/taskdefs",
            json!([{ "name": "good" }, { "name": "" }]).to_string(),
            400,
            "definition-invalid",
            &["[1].name"],
        ),
        ("no tasks", "POST", "/api/metadata/workflow", workflow(&json!([])), 400, "definition-invalid", &["tasks"]),
        (
            "a reference used twice",
            "POST",
            "/api/metadata/workflow",
            workflow(&json!([{ "name": "t", "taskReferenceName": "x" }, { "name": "t", "taskReferenceName": "x" }])),
            400,
            "definition-invalid",
            &["tasks[1]", "x"],
        ),
        (
            "a join on nothing",
            "POST",
            "/api/metadata/workflow",
            workflow(&json!([
            { "name": "f", "taskReferenceName": "f", "type": "FORK_JOIN", "forkTasks": [[{ "name": "t", "taskReferenceName": "a" }]] },
            { "name": "j", "taskReferenceName": "j", "type": "JOIN", "joinOn": ["ghost"] }])),
            400,
            "definition-invalid",
            &["joinOn", "ghost"],
        ),
        (
            "an expression that points nowhere",
            "POST",
            "/api/metadata/workflow",
            workflow(&json!([{ "name": "t", "taskReferenceName": "x", "inputParameters": { "a": "${ghost.output.b}" } }])),
            400,
            "definition-invalid",
            &["ghost"],
        ),
        (
            "an unknown task type",
            "POST",
            "/api/metadata/workflow",
            workflow(&json!([{ "name": "t", "taskReferenceName": "x", "type": "TELEPORT" }])),
            400,
            "json-invalid",
            &["tasks[0].type", "TELEPORT"],
        ),
        ("an unknown workflow", "POST", "/api/workflow", json!({ "name": "ghost" }).to_string(), 404, "not-found", &["ghost"]),
        (
            "an unknown version",
            "POST",
            "/api/workflow",
            json!({ "name": "w", "version": 99 }).to_string(),
            404,
            "not-found",
            &["99"],
        ),
        ("an unknown version by name", "POST", "/api/workflow/w?version=99", "{}".to_owned(), 404, "not-found", &["99"]),
        ("an input that is no object", "POST", "/api/workflow/w", "[1]".to_owned(), 400, "json-invalid", &["map"]),
        (
            "a wrong priority",
            "POST",
            "/api/workflow",
            json!({ "name": "w", "priority": 100 }).to_string(),
            400,
            "priority-invalid",
            &["99"],
        ),
        (
            "a wrong number in the query",
            "GET",
            "/api/workflow/search?size=many",
            String::new(),
            400,
            "query-invalid",
            &["size", "many"],
        ),
        (
            "a wrong search",
            "GET",
            "/api/workflow/search?query=status%3D",
            String::new(),
            400,
            "query-invalid",
            &["character 8"],
        ),
        ("an unknown workflow id", "GET", "/api/workflow/not-an-id", String::new(), 404, "not-found", &["not-an-id"]),
        (
            "an unknown task",
            "POST",
            "/api/tasks",
            json!({ "taskId": "00000000-0000-0000-0000-000000000001", "status": "COMPLETED" }).to_string(),
            404,
            "not-found",
            &["00000000"],
        ),
        (
            "a rubbish agent id",
            "PUT",
            "/api/v1/agents/a%20b",
            json!({ "name": "x", "slots": 1, "version": "1", "protocol": 1, "incarnation": "i" }).to_string(),
            400,
            "name-invalid",
            &["agent id"],
        ),
        (
            "an agent without slots",
            "PUT",
            "/api/v1/agents/a",
            json!({ "name": "x", "version": "1", "protocol": 1, "incarnation": "i" }).to_string(),
            400,
            "json-invalid",
            &["slots"],
        ),
        (
            "a digest that is none",
            "GET",
            "/api/v1/plugins/by-digest/xyz/archive",
            String::new(),
            400,
            "name-invalid",
            &["digest"],
        ),
    ]
}

#[tokio::test]
async fn each_bad_request_says_what_and_where_and_leaves_no_trace() {
    let house = House::new();
    house.send("POST", "/api/v1/plugins", super::plugins::archive("1.0.0", "#!/bin/sh\n")).await.expect(201);
    house.define_chain("w", &["t"]).await;
    let before = stored(&house).await;
    for (what, method, path, body, status, code, says) in cases() {
        let answer = house.send(method, path, body).await;
        let text = answer.text();
        assert_eq!(answer.status.as_u16(), status, "{what}: {text}");
        assert_eq!(answer.json()["code"], code, "{what}: {text}");
        for word in says {
            assert!(text.contains(word), "{what}: {word:?} is not said: {text}");
        }
        assert_eq!(stored(&house).await, before, "{what}: something was stored");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_with_its_limit() {
    let house = House::with(|settings| settings.limits.json_body_bytes = 1_000);
    let large = json!([{ "name": "t", "description": "x".repeat(2_000) }]).to_string();
    let announced = house.send("POST", "/api/metadata/taskdefs", large.clone()).await.expect(413).json();
    assert_eq!(announced["code"], "too-large");
    assert!(announced["message"].as_str().unwrap().contains("1000 bytes"), "{announced}");
    let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from(large))]);
    house.send("POST", "/api/metadata/taskdefs", Body::from_stream(chunks)).await.expect(413);
    assert_eq!(house.get("/api/metadata/taskdefs").await.json(), json!([]));
}

#[tokio::test]
async fn json_that_nests_too_deep_is_refused() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    let deep = format!("{}1{}", "{\"a\":".repeat(50_000), "}".repeat(50_000));
    let refused = house.send("POST", "/api/workflow/w", deep).await.expect(400).json();
    assert_eq!(refused["code"], "json-too-deep");
}

#[tokio::test]
async fn one_idempotency_key_starts_one_workflow() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    let start = async |strategy: &str| {
        house
            .json("POST", "/api/workflow", json!({ "name": "w", "idempotencyKey": "K", "idempotencyStrategy": strategy }))
            .await
    };
    let first = start("FAIL").await.expect(200).text();
    assert_eq!(start("FAIL").await.expect(409).json()["code"], "idempotency-key-used");
    assert_eq!(start("RETURN_EXISTING").await.expect(200).text(), first);
    assert_eq!(house.get("/api/workflow/search").await.json()["totalHits"], 1);
}

#[tokio::test]
async fn a_report_for_another_workflows_task_is_refused() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    house.start("w").await;
    let task = house.get("/api/tasks/poll/t").await.expect(200).json();
    let report = json!({ "workflowInstanceId": "00000000-0000-0000-0000-000000000009", "taskId": task["taskId"], "status": "COMPLETED" });
    let refused = house.json("POST", "/api/tasks", report).await.expect(400).json();
    assert_eq!(refused["code"], "workflow-mismatch");
    assert_eq!(house.get(&format!("/api/tasks/{}", task["taskId"].as_str().unwrap())).await.json()["status"], "IN_PROGRESS");
}
