//! Definitions through the Conductor door.

use serde_json::{Value, json};

use super::House;

#[tokio::test]
async fn task_definitions_come_and_go() {
    let house = House::new();
    assert!(
        house
            .json("POST", "/api/metadata/taskdefs", json!([{ "name": "T1", "retryCount": 0, "enforceSchema": false }]))
            .await
            .expect(200)
            .body
            .is_empty()
    );
    house.json("PUT", "/api/metadata/taskdefs", json!({ "name": "T1", "retryCount": 1 })).await.expect(200);
    let found = house.get("/api/metadata/taskdefs/T1").await.expect(200).json();
    assert_eq!((found["retryCount"].as_u64(), found["responseTimeoutSeconds"].as_u64()), (Some(1), Some(3600)));
    assert_eq!(house.get("/api/metadata/taskdefs").await.json().as_array().unwrap().len(), 1);
    house.send("DELETE", "/api/metadata/taskdefs/T1", "{}").await.expect(200);
    for (method, path) in [("DELETE", "/api/metadata/taskdefs/T1"), ("GET", "/api/metadata/taskdefs/T1")] {
        let gone = house.send(method, path, "").await.expect(404).json();
        assert_eq!(gone["message"], "no such task definition: T1");
    }
    house.json("PUT", "/api/metadata/taskdefs", json!({ "name": "T1" })).await.expect(404);
}

#[tokio::test]
async fn workflow_definitions_have_versions() {
    let house = House::new();
    let definition = |version: i32| json!({ "name": "w", "version": version, "tasks": [{ "name": "T", "taskReferenceName": "t" }], "ownerEmail": "a@b.c" });
    house.json("POST", "/api/metadata/workflow?overwrite=False", definition(1)).await.expect(200);
    let twice = house.json("POST", "/api/metadata/workflow", definition(1)).await.expect(409).json();
    assert_eq!(twice["code"], "exists");
    house.json("POST", "/api/metadata/workflow?overwrite=True", definition(1)).await.expect(200);
    let bulk = house
        .json("PUT", "/api/metadata/workflow?overwrite=True", json!([definition(2), definition(3)]))
        .await
        .expect(200)
        .json();
    assert_eq!(bulk["bulkSuccessfulResults"], json!(["w", "w"]));
    assert_eq!(house.get("/api/metadata/workflow/w?metadata=false&version=").await.expect(200).json()["version"], 3);
    assert_eq!(house.get("/api/metadata/workflow/w?version=1").await.expect(200).json()["version"], 1);
    house.get("/api/metadata/workflow/w?version=9").await.expect(404);
    assert_eq!(house.get("/api/metadata/workflow/names").await.json(), json!(["w"]));
    assert_eq!(house.get("/api/metadata/workflow/w/versions").await.json().as_array().unwrap().len(), 3);
    assert_eq!(house.get("/api/metadata/workflow/names-and-versions").await.json()["w"][0]["version"], 1);
    assert_eq!(house.get("/api/metadata/workflow/latest-versions").await.json()[0]["version"], 3);
    house.send("DELETE", "/api/metadata/workflow/w/3", "{}").await.expect(200);
    house.send("DELETE", "/api/metadata/workflow/w/3", "{}").await.expect(404);
    assert_eq!(house.get("/api/metadata/workflow/w").await.json()["version"], 2);
}

#[tokio::test]
async fn a_wrong_definition_is_checked_without_being_stored() {
    let house = House::new();
    let wrong =
        json!({ "name": "w", "tasks": [{ "name": "a", "taskReferenceName": "x" }, { "name": "b", "taskReferenceName": "x" }] });
    let answer = house.json("POST", "/api/metadata/workflow/validate", wrong).await.expect(400).json();
    assert!(answer["validationErrors"][0]["path"].as_str().unwrap().contains("tasks"), "{answer}");
    let right = json!({ "name": "w", "tasks": [{ "name": "a", "taskReferenceName": "x" }] });
    house.json("POST", "/api/metadata/workflow/validate", right).await.expect(200);
    house.get("/api/metadata/workflow/w").await.expect(404);
}

#[tokio::test]
async fn of_many_workflow_definitions_the_sound_ones_are_stored_and_the_others_told() {
    let house = House::new();
    let sound = |name: &str| json!({ "name": name, "version": 1, "tasks": [{ "name": "t", "taskReferenceName": "t" }] });
    let broken =
        |version: i32| json!({ "name": "broken", "version": version, "tasks": [{ "name": "t", "taskReferenceName": "" }] });
    let put = async |list: Value| house.json("PUT", "/api/metadata/workflow", list).await;
    let answer = put(json!([sound("one"), broken(1), sound("two"), broken(2)])).await.expect(200).json();
    assert_eq!(answer["bulkSuccessfulResults"], json!(["one", "two"]));
    let told = answer["bulkErrorResults"]["broken"].as_str().unwrap();
    assert!(told.contains("version 1: tasks[0].taskReferenceName") && told.contains("version 2:"), "{answer}");
    assert_eq!(house.get("/api/metadata/workflow/names").await.json(), json!(["one", "two"]));
    // Where nothing at all is stored, nobody is to take it for a success.
    let refused = put(json!([broken(1), broken(2)])).await.expect(400).json();
    assert_eq!(refused["validationErrors"][1]["path"], "[1].tasks[0].taskReferenceName");
}

#[tokio::test]
async fn what_conductor_only_keeps_is_kept() {
    let house = House::new();
    let cache = json!({ "key": "${k}", "ttlInSecond": 60 });
    let on_change = json!({ "onStart": [{ "type": "audit", "payload": {} }] });
    let definition = json!({ "name": "w", "cacheConfig": cache, "maskedFields": ["password"], "tasks": [
        { "name": "t", "taskReferenceName": "t", "cacheConfig": cache, "onStateChange": on_change }] });
    house.json("POST", "/api/metadata/workflow", definition).await.expect(200);
    let kept = house.get("/api/metadata/workflow/w").await.expect(200).json();
    assert_eq!((&kept["cacheConfig"], &kept["maskedFields"]), (&cache, &json!(["password"])));
    assert_eq!((&kept["tasks"][0]["cacheConfig"], &kept["tasks"][0]["onStateChange"]), (&cache, &on_change));
}
