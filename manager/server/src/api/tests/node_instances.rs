//! Runtime properties through the Cloudify door.

use conductor_model::{NodeInstance, TenantName, Timestamp};
use serde_json::{Map, json};

use super::House;

async fn house() -> House {
    let house = House::new();
    for id in ["web-1", "web-2"] {
        let instance = NodeInstance {
            id: id.to_owned(),
            tenant: TenantName::default_tenant(),
            node_id: id.to_owned(),
            deployment_id: String::new(),
            host_id: Some(id.to_owned()),
            state: "started".to_owned(),
            version: 1,
            index: 1,
            runtime_properties: Map::new(),
            system_properties: Map::new(),
            relationships: Vec::new(),
            scaling_groups: Vec::new(),
            created_at: Timestamp(1_795_327_729_966),
            updated_at: Timestamp(1_795_327_729_966),
        };
        house.app.read(move |store| store.ensure_node_instance(instance)).await.unwrap();
    }
    house
}

const ONE: &str = "/api/v3.1/node-instances/web-1";

#[tokio::test]
async fn an_update_replaces_the_properties_and_counts_the_version() {
    let house = house().await;
    let properties = json!({ "url": "http://127.0.0.1:8080", "nested": { "a": { "x": 1 } } });
    let changed =
        house.json("PATCH", ONE, json!({ "version": 1, "runtime_properties": properties, "state": "creating" })).await;
    let changed = changed.expect(200).json();
    assert_eq!((changed["version"].as_u64(), changed["state"].as_str()), (Some(2), Some("creating")));
    let smaller =
        house.json("PATCH", ONE, json!({ "version": 2, "runtime_properties": { "pid": 7 } })).await.expect(200).json();
    assert_eq!(smaller["runtime_properties"], json!({ "pid": 7 }), "the map is replaced as a whole");
    assert_eq!(smaller["state"], "creating", "what is not sent stays");
    assert_eq!(house.get(&format!("{ONE}?_evaluate_functions=True")).await.expect(200).json(), smaller);
}

#[tokio::test]
async fn an_update_from_an_old_version_is_a_conflict_and_changes_nothing() {
    let house = house().await;
    house.json("PATCH", ONE, json!({ "version": 1, "runtime_properties": { "a": 1 } })).await.expect(200);
    let stale = house.json("PATCH", ONE, json!({ "version": 1, "runtime_properties": { "a": 2 } })).await.expect(409).json();
    assert_eq!(stale["error_code"], "conflict_error");
    assert!(stale["message"].as_str().unwrap().contains("version 2"), "{stale}");
    assert!(stale.as_object().unwrap().contains_key("server_traceback"));
    assert_eq!(house.get(ONE).await.json()["runtime_properties"], json!({ "a": 1 }));
    let forced =
        house.json("PATCH", &format!("{ONE}?force=true"), json!({ "version": 1, "runtime_properties": { "a": 3 } })).await;
    assert_eq!(forced.expect(200).json()["version"], 3);
}

#[tokio::test]
async fn of_many_updates_from_one_version_one_wins() {
    let house = house().await;
    let updates = (0..8).map(|n| house.json("PATCH", ONE, json!({ "version": 1, "runtime_properties": { "n": n } })));
    let answers = futures_util::future::join_all(updates).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 409).count(), 7);
}

#[tokio::test]
async fn instances_are_listed_as_cloudify_does() {
    let house = house().await;
    let all = house.get("/api/v3.1/node-instances?_offset=0&_size=1000&_sort=node_id").await.expect(200).json();
    assert_eq!(all["metadata"]["pagination"], json!({ "total": 2, "size": 1000, "offset": 0 }));
    let one = house.get("/api/v3.1/node-instances?id=web-2&_include=id,version&_get_all_results=True").await.expect(200).json();
    assert_eq!(one["items"], json!([{ "id": "web-2", "version": 1 }]));
    let missing = house.get("/api/v3.1/node-instances/none").await.expect(404).json();
    assert_eq!(missing["error_code"], "not_found_error");
}

#[tokio::test]
async fn an_update_is_told_to_those_who_listen() {
    let house = house().await;
    let mut heard = house.app.subscribe();
    house.json("PATCH", ONE, json!({ "version": 1, "state": "configured" })).await.expect(200);
    let entry = tokio::time::timeout(std::time::Duration::from_secs(5), heard.recv()).await.expect("nothing was told").unwrap();
    assert_eq!(entry.kind, "node-instance.updated");
    let details = entry.data.parse();
    assert_eq!((details["id"].as_str(), details["version"].as_u64()), (Some("web-1"), Some(2)));
}
