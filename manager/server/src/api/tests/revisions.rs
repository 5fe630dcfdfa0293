//! What became of definitions: their history, differences and locks, through the doors.

use serde_json::{Value, json};

use super::House;

const W: &str = "/api/v1/definitions/workflow/w";
const T: &str = "/api/v1/definitions/task/T";

fn definition(version: i32, steps: &[&str]) -> Value {
    let steps: Vec<Value> = steps.iter().map(|step| json!({ "name": "T", "taskReferenceName": step })).collect();
    json!({ "name": "w", "version": version, "tasks": steps, "ownerEmail": "a@b.c" })
}

async fn put(house: &House, definition: Value) -> super::Answer {
    house.json("POST", "/api/metadata/workflow?overwrite=true", definition).await
}

#[tokio::test]
async fn what_became_of_a_definition_is_told_and_can_be_had_again() {
    let house = House::new();
    put(&house, definition(1, &["a"])).await.expect(200);
    put(&house, definition(1, &["a"])).await.expect(200);
    put(&house, definition(1, &["a", "b"])).await.expect(200);
    house.send("DELETE", "/api/metadata/workflow/w/1", "").await.expect(200);
    let list = house.get(&format!("{W}/revisions")).await.expect(200).json();
    assert_eq!(list["metadata"]["total"], 3, "what was stored again as it was is no change");
    let newest = &list["items"][0];
    assert_eq!((&newest["number"], &newest["version"], &newest["deleted"]), (&json!(3), &json!(1), &json!(true)));
    assert_eq!(newest["by"], "admin");
    assert!(newest["at"].as_i64().unwrap() > 0);

    let first = house.get(&format!("{W}/revisions/1")).await.expect(200).json();
    assert_eq!(first["definition"]["tasks"].as_array().unwrap().len(), 1);
    put(&house, first["definition"].clone()).await.expect(200);
    assert_eq!(house.get("/api/metadata/workflow/w").await.expect(200).json()["tasks"].as_array().unwrap().len(), 1);
    assert!(house.get(&format!("{W}/revisions/3")).await.expect(200).json().get("definition").is_none());

    house.get(&format!("{W}/revisions/9")).await.expect(404);
    assert_eq!(house.get(&format!("{W}/revisions/x")).await.expect(400).json()["code"], "revision-invalid");
    house.get("/api/v1/definitions/workflow/other/revisions").await.expect(404);
    house.get("/api/v1/definitions/plugin/w/revisions").await.expect(404);
}

#[tokio::test]
async fn two_states_of_a_definition_are_compared() {
    let house = House::new();
    put(&house, definition(1, &["a", "c"])).await.expect(200);
    put(&house, definition(2, &["x"])).await.expect(200);
    put(&house, definition(1, &["a", "b", "c"])).await.expect(200);
    let diff = async |query: &str| house.get(&format!("{W}/diff{query}")).await.expect(200).json();

    let last = diff("").await;
    assert_eq!((&last["from"], &last["to"]), (&json!("1"), &json!("3")), "the one before it, of the same version");
    assert_eq!(last["changes"].as_array().unwrap().len(), 1, "{last}");
    assert_eq!((&last["changes"][0]["op"], &last["changes"][0]["path"]), (&json!("add"), &json!("/tasks/1")));
    assert_eq!(last["changes"][0]["value"]["taskReferenceName"], "b");

    let back = diff("?from=3&to=1").await;
    assert_eq!(back["changes"][0]["op"], "remove");
    assert_eq!(back["changes"][0]["before"]["taskReferenceName"], "b");
    let versions = diff("?from=v1&to=v2").await;
    let of_version = versions["changes"].as_array().unwrap().iter().find(|change| change["path"] == "/version").unwrap();
    assert_eq!(*of_version, json!({"op": "replace", "path": "/version", "before": 1, "value": 2}));
    assert_eq!(diff("?from=3&to=v1").await["changes"], json!([]), "who stored it and when is no difference");
    let first = diff("?to=1").await;
    assert_eq!((first.get("from"), &first["changes"][0]["path"]), (None, &json!("")), "there was nothing before");

    for (query, status, code) in [
        ("?from=x", 400, "query-invalid"),
        ("?to=v1", 400, "from-missing"),
        ("?from=9", 404, "not-found"),
        ("?from=1&to=v9", 404, "not-found"),
    ] {
        assert_eq!(house.get(&format!("{W}/diff{query}")).await.expect(status).json()["code"], code, "{query}");
    }
}

#[tokio::test]
async fn a_locked_definition_stays_until_it_is_unlocked() {
    let house = House::new();
    put(&house, definition(1, &["a"])).await.expect(200);
    let lock = house.send("PUT", &format!("{W}/lock?reason=in%20production"), "").await.expect(200).json();
    assert_eq!((&lock["name"], &lock["version"], &lock["by"]), (&json!("w"), &json!(1), &json!("admin")));
    let again = house.send("PUT", &format!("{W}/lock?version=1&reason=other"), "").await.expect(200).json();
    assert_eq!(again, lock, "who locked it first is told");
    assert_eq!(house.get("/api/v1/definitions/locks").await.expect(200).json()["items"], json!([lock]));

    let refused = put(&house, definition(1, &["b"])).await.expect(409).json();
    assert_eq!(refused["code"], "definition-locked");
    let told = refused["message"].as_str().unwrap();
    for part in
        ["workflow definition w version 1", "by admin", "in production", "definitions unlock w --version 1", "new version"]
    {
        assert!(told.contains(part), "{told}");
    }
    house.send("DELETE", "/api/metadata/workflow/w/1", "").await.expect(409);
    put(&house, definition(1, &["a"])).await.expect(200);
    put(&house, definition(2, &["b"])).await.expect(200);

    // Of many the others are stored.
    let many = json!([definition(1, &["c"]), definition(3, &["c"])]);
    let bulk = house.json("PUT", "/api/metadata/workflow", many).await.expect(200).json();
    assert_eq!(bulk["bulkSuccessfulResults"], json!(["w"]));
    assert!(bulk["bulkErrorResults"]["w"].as_str().unwrap().contains("was locked by admin"), "{bulk}");
    house.json("PUT", "/api/metadata/workflow", json!([definition(1, &["c"])])).await.expect(409);
    let kept = house.get("/api/metadata/workflow/w?version=1").await.expect(200).json();
    assert_eq!(kept["tasks"][0]["taskReferenceName"], "a");

    house.send("DELETE", &format!("{W}/lock"), "").await.expect(404);
    house.send("DELETE", &format!("{W}/lock?version=1"), "").await.expect(204);
    house.send("DELETE", &format!("{W}/lock?version=1"), "").await.expect(404);
    put(&house, definition(1, &["b"])).await.expect(200);
    house.send("PUT", "/api/v1/definitions/workflow/other/lock", "").await.expect(404);
    house.send("PUT", &format!("{W}/lock?version=9"), "").await.expect(404);
    let long = "x".repeat(501);
    assert_eq!(house.send("PUT", &format!("{W}/lock?reason={long}"), "").await.expect(400).json()["code"], "reason-invalid");
}

#[tokio::test]
async fn task_definitions_have_a_history_and_locks_too() {
    let house = House::new();
    let task = |retries: i32| json!({ "name": "T", "retryCount": retries });
    house.json("POST", "/api/metadata/taskdefs", json!([task(1)])).await.expect(200);
    house.json("PUT", "/api/metadata/taskdefs", task(2)).await.expect(200);
    let diff = house.get(&format!("{T}/diff")).await.expect(200).json();
    assert_eq!(diff["changes"], json!([{"op": "replace", "path": "/retryCount", "before": 1, "value": 2}]));
    let items = house.get(&format!("{T}/revisions")).await.expect(200).json()["items"].clone();
    assert_eq!((items.as_array().unwrap().len(), items[0].get("version")), (2, None));
    house.get(&format!("{T}/diff?from=v1")).await.expect(404);

    assert_eq!(house.send("PUT", &format!("{T}/lock?version=1"), "").await.expect(400).json()["code"], "version-invalid");
    house.send("PUT", &format!("{T}/lock"), "").await.expect(200);
    let refused = house.json("PUT", "/api/metadata/taskdefs", task(3)).await.expect(409).json();
    assert!(refused["message"].as_str().unwrap().contains("definitions unlock T --task"), "{refused}");
    house.json("POST", "/api/metadata/taskdefs", json!([task(3)])).await.expect(409);
    house.send("DELETE", "/api/metadata/taskdefs/T", "").await.expect(409);
    house.send("DELETE", &format!("{T}/lock"), "").await.expect(204);
    house.send("DELETE", "/api/metadata/taskdefs/T", "").await.expect(200);
}

#[tokio::test]
async fn tenants_do_not_see_each_others_history_and_locks() {
    let house = House::new();
    put(&house, definition(1, &["a"])).await.expect(200);
    house.send("PUT", &format!("{W}/lock"), "").await.expect(200);
    let theirs = async |method: &str, path: &str| {
        let request = axum::http::Request::builder().method(method).uri(path).header("authorization", "Bearer cdt_other");
        house.raw(request.body(axum::body::Body::empty()).unwrap()).await
    };
    theirs("GET", &format!("{W}/revisions")).await.expect(404);
    theirs("DELETE", &format!("{W}/lock?version=1")).await.expect(404);
    assert_eq!(theirs("GET", "/api/v1/definitions/locks").await.expect(200).json()["items"], json!([]));
}
