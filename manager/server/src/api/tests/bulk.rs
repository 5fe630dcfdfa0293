//! One command on many workflows.

use serde_json::json;

use super::House;

#[tokio::test]
async fn each_workflow_of_a_bulk_is_answered_for_itself() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    let ids = [house.start("w").await, house.start("w").await];
    let both = json!([ids[0], ids[1], "not-an-id"]);
    for (method, command, status) in [
        ("PUT", "pause", Some("PAUSED")),
        ("PUT", "resume", Some("RUNNING")),
        ("POST", "terminate?reason=enough", Some("TERMINATED")),
        ("POST", "retry", Some("RUNNING")),
        ("POST", "terminate", Some("TERMINATED")),
        ("POST", "restart?useLatestDefinitions=false", Some("RUNNING")),
    ] {
        let path = format!("/api/workflow/bulk/{command}");
        let answer = house.json(method, &path, both.clone()).await.expect(200).json();
        assert_eq!(answer["bulkSuccessfulResults"], json!(ids), "{command}: {answer}");
        assert_eq!(answer["bulkErrorResults"].as_object().map(serde_json::Map::len), Some(1), "{command}");
        assert_eq!(house.workflow(&ids[1]).await["status"].as_str(), status, "{command}");
    }
    let refused = house.json("DELETE", "/api/workflow/bulk/remove", json!(ids)).await.expect(200).json();
    assert_eq!(refused["bulkErrorResults"].as_object().map(serde_json::Map::len), Some(2), "they run");
    let read = house.json("POST", "/api/workflow/bulk/search?includeTasks=true", both).await.expect(200).json();
    assert_eq!(read["bulkSuccessfulResults"][0]["tasks"].as_array().map(Vec::len), Some(1), "{read}");
    let gone = house.json("DELETE", "/api/workflow/bulk/terminate-remove", json!(ids)).await.expect(200).json();
    assert_eq!(gone["bulkSuccessfulResults"], json!(ids));
    house.get(&format!("/api/workflow/{}", ids[0])).await.expect(404);
}

#[tokio::test]
async fn workflows_that_are_over_are_removed_together() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    let ids = [house.start("w").await, house.start("w").await];
    let open = house.start("w").await;
    house.json("POST", "/api/workflow/bulk/terminate", json!(ids)).await.expect(200);
    let answer = house.json("DELETE", "/api/workflow/bulk/remove", json!([ids[0], open, ids[1]])).await.expect(200).json();
    assert_eq!(answer["bulkSuccessfulResults"], json!(ids));
    assert!(answer["bulkErrorResults"][&open].is_string(), "{answer}");
    for id in &ids {
        house.get(&format!("/api/workflow/{id}")).await.expect(404);
    }
    assert_eq!(house.workflow(&open).await["status"], "RUNNING");
}

#[tokio::test]
async fn too_many_workflows_at_once_are_refused() {
    let house = House::new();
    let many: Vec<String> = (0..1_001).map(|n| n.to_string()).collect();
    let refused = house.json("PUT", "/api/workflow/bulk/pause", json!(many)).await.expect(400).json();
    assert!(refused["message"].as_str().unwrap().contains("1000"), "{refused}");
}
