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
        ("/api/v1/agents", "/api/v1/agents".to_owned()),
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
