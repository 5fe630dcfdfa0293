//! What definitions name: schemas, secrets and environment values.

use serde_json::{Value, json};

use super::House;

fn schema(name: &str, version: i32, minimum: i64) -> Value {
    let data = json!({ "type": "object", "properties": { "n": { "type": "integer", "minimum": minimum } }, "required": ["n"] });
    json!({ "name": name, "version": version, "type": "JSON", "data": data })
}

#[tokio::test]
async fn schemas_have_versions() {
    let house = House::new();
    house.json("POST", "/api/schema", schema("order", 1, 1)).await.expect(200);
    house.json("POST", "/api/schema", json!([schema("order", 2, 2), schema("other", 1, 1)])).await.expect(200);
    let all = house.get("/api/schema").await.expect(200).json();
    let names: Vec<_> = all.as_array().unwrap().iter().map(|one| (one["name"].clone(), one["version"].clone())).collect();
    assert_eq!(names, [(json!("order"), json!(1)), (json!("order"), json!(2)), (json!("other"), json!(1))]);
    assert_eq!(house.get("/api/schema/order").await.expect(200).json()["version"], 2);
    assert_eq!(house.get("/api/schema/order/1").await.expect(200).json()["data"]["properties"]["n"]["minimum"], 1);
    house.json("POST", "/api/schema?newVersion=true", schema("order", 1, 3)).await.expect(200);
    assert_eq!(house.get("/api/schema/order").await.expect(200).json()["version"], 3);
    house.send("DELETE", "/api/schema/order/3", "").await.expect(200);
    house.get("/api/schema/order/3").await.expect(404);
    house.send("DELETE", "/api/schema/order", "").await.expect(200);
    house.get("/api/schema/order").await.expect(404);
    house.send("DELETE", "/api/schema/order", "").await.expect(404);
    house.get("/api/schema/other/one").await.expect(400);
}

#[tokio::test]
async fn a_schema_that_is_none_is_refused_and_nothing_of_its_list_is_stored() {
    let house = House::new();
    let broken = json!({ "name": "broken", "version": 1, "type": "JSON", "data": { "type": "no-such-type" } });
    let refused = house.json("POST", "/api/schema", json!([schema("fine", 1, 1), broken])).await.expect(400).json();
    assert!(refused["validationErrors"][0]["path"].as_str().unwrap().contains("[1]"), "{refused}");
    assert_eq!(house.get("/api/schema").await.expect(200).json(), json!([]));
}

#[tokio::test]
async fn an_enforced_schema_keeps_out_what_does_not_fit() {
    let house = House::new();
    house.json("POST", "/api/schema", schema("order", 1, 5)).await.expect(200);
    house.define_chain("base", &["t"]).await;
    let definition = json!({ "name": "strict", "ownerEmail": "a@b.c", "enforceSchema": true,
        "inputSchema": { "name": "order", "version": 1, "type": "JSON" }, "tasks": [{ "name": "t", "taskReferenceName": "t" }] });
    house.json("POST", "/api/metadata/workflow", definition).await.expect(200);
    let start = async |n: Value| house.json("POST", "/api/workflow", json!({ "name": "strict", "input": { "n": n } })).await;
    start(json!(5)).await.expect(200);
    let refused = start(json!(4)).await.expect(400);
    assert!(refused.text().contains('n') && refused.text().contains("minimum"), "{}", refused.text());
    start(json!("many")).await.expect(400);
}

#[tokio::test]
async fn secrets_are_named_and_never_read_back() {
    let house = House::new();
    house.send("PUT", "/api/secrets/db_password", "s3cr3t").await.expect(200);
    house.json("PUT", "/api/secrets/api-key", json!("k3y")).await.expect(200);
    for method in ["GET", "POST"] {
        let names = house.send(method, "/api/secrets", "").await.expect(200);
        assert_eq!(names.json(), json!(["api-key", "db_password"]));
        assert!(!names.text().contains("s3cr3t"));
    }
    assert_eq!(house.get("/api/secrets/db_password/exists").await.expect(200).json(), json!(true));
    assert_eq!(house.get("/api/secrets/none/exists").await.expect(200).json(), json!(false));
    house.get("/api/secrets/db_password").await.expect(405);
    house.send("DELETE", "/api/secrets/db_password", "").await.expect(200);
    house.send("DELETE", "/api/secrets/db_password", "").await.expect(404);
    house.send("PUT", "/api/secrets/no%20name", "x").await.expect(400);
    house.send("PUT", "/api/secrets/large", "x".repeat(64 * 1024 + 1)).await.expect(413);
}

#[tokio::test]
async fn environment_values_are_shown() {
    let house = House::new();
    house.send("PUT", "/api/environment/region", "eu-1").await.expect(200);
    house.json("PUT", "/api/environment/stage", json!("test")).await.expect(200);
    assert_eq!(house.get("/api/environment").await.expect(200).json(), json!({ "region": "eu-1", "stage": "test" }));
    let value = house.get("/api/environment/region").await.expect(200);
    assert!(value.text() == "eu-1" && value.header("content-type").starts_with("text/plain"));
    house.send("PUT", "/api/environment/region", "eu-2").await.expect(200);
    assert_eq!(house.get("/api/environment/region").await.expect(200).text(), "eu-2");
    house.send("DELETE", "/api/environment/region", "").await.expect(200);
    house.get("/api/environment/region").await.expect(404);
    house.send("DELETE", "/api/environment/region", "").await.expect(404);
}

#[tokio::test]
async fn both_reach_a_worker_and_neither_is_stored_in_the_task() {
    let house = House::new();
    house.send("PUT", "/api/secrets/key", "s3cr3t").await.expect(200);
    house.send("PUT", "/api/environment/region", "eu-1").await.expect(200);
    house.json("POST", "/api/metadata/taskdefs", json!([{ "name": "t" }])).await.expect(200);
    let input = json!({ "key": "${workflow.secrets.key}", "at": "in ${workflow.env.region}" });
    house.define("w", json!([{ "name": "t", "taskReferenceName": "t", "inputParameters": input.clone() }])).await;
    let id = house.start("w").await;
    let polled = house.get("/api/tasks/poll/t?workerid=w").await.expect(200).json();
    assert_eq!(polled["inputData"], json!({ "key": "s3cr3t", "at": "in eu-1" }));
    assert_eq!(house.workflow(&id).await["tasks"][0]["inputData"], input);
}

#[tokio::test]
async fn a_worker_gets_what_its_definition_names_beside_its_input_and_nobody_else_does() {
    let house = House::new();
    house.send("PUT", "/api/secrets/key", "s3cr3t").await.expect(200);
    house.send("PUT", "/api/environment/region", "eu-1").await.expect(200);
    let definition = json!({ "name": "t", "runtimeMetadata": ["key", "region", "nosuch"], "responseTimeoutSeconds": 60 });
    house.json("POST", "/api/metadata/taskdefs", json!([definition])).await.expect(200);
    house.define("w", json!([{ "name": "t", "taskReferenceName": "t" }])).await;
    let id = house.start("w").await;
    let polled = house.get("/api/tasks/poll/t?workerid=w").await.expect(200).json();
    assert_eq!(polled["runtimeMetadata"], json!({ "key": "s3cr3t", "region": "eu-1" }));
    assert_eq!(polled["inputData"], json!({}));
    let stored = house.get(&format!("/api/tasks/{}", polled["taskId"].as_str().unwrap())).await.expect(200);
    assert!(stored.json().get("runtimeMetadata").is_none() && !stored.text().contains("s3cr3t"), "{}", stored.text());
    assert!(!house.workflow(&id).await.to_string().contains("s3cr3t"));
    // An agent gets secrets in its input.
    let on_agent = json!({ "name": "a", "runtimeMetadata": ["key"], "agent": { "plugin": "p", "operation": "o" } });
    let refused = house.json("POST", "/api/metadata/taskdefs", json!([on_agent])).await.expect(400).json();
    assert_eq!(refused["validationErrors"][0]["path"], "[0].runtimeMetadata");
}
