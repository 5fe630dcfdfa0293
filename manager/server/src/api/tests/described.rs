//! The description of the API, held to real answers.

use serde_json::{Value, json};

use super::House;

/// Routes whose answers have no shape that could be said: inputs of tasks, fields as they were asked for, and a workflow or a
/// task as was asked for.
const SHAPELESS: [&str; 5] = [
    "get /api/v1/agents/{id}/tasks/{task}/input",
    "get /api/v3.1/node-instances/{id}",
    "post /api/tasks/{id}/{status}/signal/sync",
    "post /api/workflow/execute/{name}/{version}",
    "post /api/workflow/{id}/state",
];

async fn document(house: &House) -> Value {
    house.get("/api/openapi.json").await.expect(200).json()
}

/// The schema of a good JSON answer, as the document has it.
fn schema<'d>(document: &'d Value, method: &str, path: &str) -> &'d Value {
    let schema = &document["paths"][path][method]["responses"]["200"]["content"]["application/json"]["schema"];
    assert!(!schema.is_null(), "{method} {path} describes no JSON answer");
    schema
}

#[tokio::test]
async fn answers_are_what_the_description_says() {
    let house = House::new();
    let document = document(&house).await;
    house.define_chain("w", &["t", "u"]).await;
    let id = house.start("w").await;
    let failed = house.start("w").await;
    let task = house.work("t", "COMPLETED", json!({ "x": 1 })).await;
    house.work("t", "FAILED", json!({})).await;
    house.json("POST", "/api/schema", json!({ "name": "s", "version": 1, "type": "JSON", "data": {} })).await.expect(200);
    let handler = json!({ "name": "h", "event": "conductor:w:e", "active": true, "actions": [{ "action": "terminate_workflow", "terminate_workflow": { "workflowId": "${id}" } }] });
    house.json("POST", "/api/event", handler).await.expect(200);
    let schedule = json!({ "name": "s", "cronExpression": "* * * * * *", "startWorkflowRequest": { "name": "w" } });
    house.json("POST", "/api/scheduler/schedules", schedule).await.expect(200);
    house.send("PUT", "/api/environment/stage", "test").await.expect(200);
    house.send("PUT", "/api/v1/definitions/workflow/w/lock", "").await.expect(200);
    let task = task["taskId"].as_str().unwrap();
    house.send("POST", &format!("/api/tasks/{task}/log"), "a line").await.expect(200);
    house.get("/api/tasks/poll/u?workerid=w").await.expect(200);
    let mut described = 0;
    for (template, path) in [
        ("/health", "/health".to_owned()),
        ("/api/metadata/taskdefs", "/api/metadata/taskdefs".to_owned()),
        ("/api/metadata/taskdefs/{name}", "/api/metadata/taskdefs/t".to_owned()),
        ("/api/metadata/workflow", "/api/metadata/workflow".to_owned()),
        ("/api/metadata/workflow/{name}", "/api/metadata/workflow/w".to_owned()),
        ("/api/metadata/workflow/names", "/api/metadata/workflow/names".to_owned()),
        ("/api/metadata/workflow/names-and-versions", "/api/metadata/workflow/names-and-versions".to_owned()),
        ("/api/metadata/workflow/latest-versions", "/api/metadata/workflow/latest-versions".to_owned()),
        ("/api/workflow/{id}", format!("/api/workflow/{id}")),
        ("/api/workflow/{id}", format!("/api/workflow/{failed}?includeTasks=false")),
        ("/api/workflow/{id}/status", format!("/api/workflow/{id}/status")),
        ("/api/workflow/{id}/tasks", format!("/api/workflow/{id}/tasks")),
        ("/api/workflow/search", "/api/workflow/search".to_owned()),
        ("/api/workflow/search-v2", "/api/workflow/search-v2".to_owned()),
        ("/api/workflow/search-by-tasks", "/api/workflow/search-by-tasks".to_owned()),
        ("/api/workflow/search-by-tasks-v2", "/api/workflow/search-by-tasks-v2".to_owned()),
        ("/api/workflow/running/{name}", "/api/workflow/running/w".to_owned()),
        ("/api/tasks/{id}", format!("/api/tasks/{task}")),
        ("/api/tasks/{id}/log", format!("/api/tasks/{task}/log")),
        ("/api/tasks/search", "/api/tasks/search".to_owned()),
        ("/api/tasks/search-v2", "/api/tasks/search-v2".to_owned()),
        ("/api/tasks/queue/sizes", "/api/tasks/queue/sizes?taskType=t".to_owned()),
        ("/api/tasks/queue/all", "/api/tasks/queue/all".to_owned()),
        ("/api/tasks/queue/all/verbose", "/api/tasks/queue/all/verbose".to_owned()),
        ("/api/tasks/queue/polldata", "/api/tasks/queue/polldata?taskType=t".to_owned()),
        ("/api/tasks/queue/polldata/all", "/api/tasks/queue/polldata/all".to_owned()),
        ("/api/event", "/api/event".to_owned()),
        ("/api/queue", "/api/queue".to_owned()),
        ("/api/queue/size", "/api/queue/size".to_owned()),
        ("/api/schema", "/api/schema".to_owned()),
        ("/api/schema/{name}", "/api/schema/s".to_owned()),
        ("/api/environment", "/api/environment".to_owned()),
        ("/api/scheduler/schedules", "/api/scheduler/schedules".to_owned()),
        ("/api/scheduler/schedules/{name}", "/api/scheduler/schedules/s".to_owned()),
        ("/api/scheduler/schedules/search", "/api/scheduler/schedules/search".to_owned()),
        ("/api/scheduler/search/executions", "/api/scheduler/search/executions".to_owned()),
        ("/api/admin/config", "/api/admin/config".to_owned()),
        ("/api/admin/task/{type}", "/api/admin/task/u".to_owned()),
        ("/api/admin/queues", "/api/admin/queues".to_owned()),
        ("/api/v1/domain", "/api/v1/domain?taskType=t&domains=a".to_owned()),
        ("/api/v1/agents", "/api/v1/agents".to_owned()),
        ("/api/v1/definitions/{kind}/{name}/revisions", "/api/v1/definitions/task/t/revisions".to_owned()),
        ("/api/v1/definitions/{kind}/{name}/revisions/{number}", "/api/v1/definitions/workflow/w/revisions/1".to_owned()),
        ("/api/v1/definitions/{kind}/{name}/diff", "/api/v1/definitions/workflow/w/diff?from=1&to=v1".to_owned()),
        ("/api/v1/definitions/locks", "/api/v1/definitions/locks".to_owned()),
        ("/api/v1/plugins", "/api/v1/plugins".to_owned()),
        ("/api/v1/tasks/{id}/logs", format!("/api/v1/tasks/{task}/logs")),
        ("/api/v1/tasks/{id}/placement", format!("/api/v1/tasks/{task}/placement")),
        ("/api/v3.1/node-instances", "/api/v3.1/node-instances".to_owned()),
    ] {
        let mut rules = schema(&document, "get", template).clone();
        rules["components"] = document["components"].clone();
        let rules = jsonschema::validator_for(&rules).unwrap_or_else(|error| panic!("{template}: {error}"));
        let answer = house.get(&path).await.expect(200).json();
        let faults: Vec<_> = rules.iter_errors(&answer).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
        assert!(faults.is_empty(), "{path} answers {answer}, which is not as described: {faults:#?}");
        described += 1;
    }
    assert!(described > 40);
}

#[tokio::test]
async fn every_answer_has_a_shape() {
    let house = House::new();
    let document = document(&house).await;
    let mut shapeless = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
            let bare = |schema: &Value| *schema == json!({ "type": "object" });
            if bare(schema) || bare(&schema["items"]) {
                shapeless.push(format!("{method} {path}"));
            }
        }
    }
    shapeless.sort();
    assert_eq!(shapeless, SHAPELESS);
}

/// Requests whose bodies have no shape that could be said: inputs, what a task puts out, variables, and one thing or a list of
/// them.
const FREE: [&str; 11] = [
    "post /api/event",
    "post /api/queue/update/{id}/task/{task}/{status}",
    "post /api/queue/update/{id}/{reference}/{status}",
    "post /api/scheduler/schedules",
    "post /api/schema",
    "post /api/tasks/{id}/{reference}/{status}",
    "post /api/tasks/{id}/{reference}/{status}/sync",
    "post /api/workflow/{id}",
    "post /api/workflow/{id}/variables",
    "put /api/event",
    "put /api/v1/agents/{id}/tasks/{task}/output",
];

#[tokio::test]
async fn every_request_has_a_shape() {
    let house = House::new();
    let document = document(&house).await;
    let mut free = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            if schema["type"] == "object" || schema["items"]["type"] == "object" {
                free.push(format!("{method} {path}"));
            }
        }
    }
    free.sort();
    assert_eq!(free, FREE);
}

#[tokio::test]
async fn requests_as_they_are_described_are_read() {
    let house = House::new();
    let document = document(&house).await;
    let step = json!({"name": "t", "taskReferenceName": "t", "type": "SIMPLE", "inputParameters": {"x": 1}, "optional": false});
    let workflow = json!({"name": "w", "version": 1, "tasks": [step], "outputParameters": {}, "timeoutPolicy": "ALERT_ONLY",
        "timeoutSeconds": 0, "restartable": true});
    let definition = json!({"name": "t", "retryCount": 1, "retryLogic": "LINEAR_BACKOFF", "timeoutPolicy": "TIME_OUT_WF",
        "responseTimeoutSeconds": 60, "timeoutSeconds": 600, "ownerEmail": "ops@example.com"});
    let start = json!({"name": "w", "version": 1, "input": {"a": 1}, "taskToDomain": {}, "priority": 3,
        "idempotencyKey": "k", "idempotencyStrategy": "RETURN_EXISTING"});
    let test = json!({"name": "w", "taskRefToMockOutput": {"t": [{"status": "COMPLETED", "output": {}, "executionTime": 5}]}});
    let correlated = json!({"correlationIds": ["c"], "workflowNames": ["w"]});
    let token =
        json!({"labels": {"role": "web"}, "ttl_seconds": 60, "uses": 1, "networks": ["10.0.0.0/8"], "approval": "manual"});
    let hello = json!({"name": "web-1", "labels": {}, "facts": {}, "slots": 2, "version": "1.0.0", "protocol": 1,
        "incarnation": "4f7f4a4e-50f5-4b9e-9d0c-bb5ea3b70c55"});
    let mut seen = 0;
    for (method, template, path, body) in [
        ("post", "/api/metadata/taskdefs", "", json!([definition])),
        ("put", "/api/metadata/taskdefs", "", definition),
        ("post", "/api/metadata/workflow", "", workflow.clone()),
        ("put", "/api/metadata/workflow", "", json!([workflow])),
        ("post", "/api/metadata/workflow/validate", "", workflow),
        ("post", "/api/workflow", "", start),
        ("post", "/api/workflow/test", "", test),
        ("post", "/api/workflow/correlated/batch", "", correlated),
        ("post", "/api/v1/enrolment-tokens", "", token),
        ("put", "/api/v1/agents/{id}", "/api/v1/agents/web-1", hello),
    ] {
        let path = if path.is_empty() { template } else { path };
        let mut rules = document["paths"][template][method]["requestBody"]["content"]["application/json"]["schema"].clone();
        assert!(!rules.is_null(), "{method} {template} describes no JSON request");
        rules["components"] = document["components"].clone();
        let rules = jsonschema::validator_for(&rules).unwrap_or_else(|error| panic!("{template}: {error}"));
        let faults: Vec<_> = rules.iter_errors(&body).map(|fault| format!("{}: {fault}", fault.instance_path())).collect();
        assert!(faults.is_empty(), "{method} {path} takes {body}, which is not as described: {faults:#?}");
        assert!(
            !rules.is_valid(&json!({"version": "one", "slots": [], "uses": "many"})),
            "{method} {path} is described as taking anything"
        );
        let answer = house.json(&method.to_uppercase(), path, body).await;
        let status = answer.status.as_u16();
        // Without TLS there is nothing to join, and without RabbitMQ nothing to be told.
        let is_read =
            status < 300 || matches!((template, status), ("/api/v1/enrolment-tokens", 409) | ("/api/v1/agents/{id}", 503));
        assert!(is_read, "{method} {path}: {status} {}", answer.text());
        seen += 1;
    }
    let task = house.get("/api/tasks/poll/t?workerid=w").await.expect(200).json();
    let result = json!({"taskId": task["taskId"], "workflowInstanceId": task["workflowInstanceId"], "status": "COMPLETED",
        "outputData": {"y": 1}, "logs": [{"log": "a line", "createdTime": 1_795_327_179_777_i64}], "workerId": "w"});
    house.json("POST", "/api/tasks", result).await.expect(200);
    assert_eq!(seen, 10);
}
