//! `/api/event` and `/api/queue` as SDKs call them.

use serde_json::json;

use super::House;

#[tokio::test]
async fn handlers_come_alone_or_in_a_list_and_are_found_by_their_event() {
    let house = House::new();
    let handler = |name: &str, active: bool| {
        json!({ "name": name, "event": "conductor:kitchen:ev", "condition": "true", "evaluatorType": "javascript", "active": active,
            "actions": [{ "action": "start_workflow", "start_workflow": { "name": "simple2", "input": { "a": "${x}" } } }] })
    };
    house.json("POST", "/api/event", json!([handler("one", true)])).await.expect(200);
    house.json("POST", "/api/event", handler("two", false)).await.expect(200);
    house.json("POST", "/api/event", handler("two", false)).await.expect(409);
    house.json("PUT", "/api/event", handler("three", true)).await.expect(404);
    assert_eq!(house.get("/api/event").await.expect(200).json().as_array().unwrap().len(), 2);
    let active = house.get("/api/event/conductor%3Akitchen%3Aev?activeOnly=true").await.expect(200).json();
    assert_eq!(active, json!([handler("one", true)]));
    let all = house.get("/api/event/conductor%3Akitchen%3Aev?activeOnly=False").await.expect(200).json();
    assert_eq!(all.as_array().unwrap().len(), 2);
    house.json("PUT", "/api/event", handler("two", true)).await.expect(200);
    assert_eq!(house.get("/api/event/conductor%3Akitchen%3Aev").await.expect(200).json().as_array().unwrap().len(), 2);
    house.json("DELETE", "/api/event/one", json!({})).await.expect(200);
    house.json("DELETE", "/api/event/one", json!({})).await.expect(404);
    let refused =
        house.json("POST", "/api/event", json!({ "name": "k", "event": "sqs:q", "actions": [] })).await.expect(400).json();
    assert!(refused.to_string().contains("conductor, amqp_queue, amqp_exchange"), "{refused}");
}

#[tokio::test]
async fn a_queue_message_ends_an_open_task() {
    let house = House::new();
    house.define_chain("chain", &["one", "two"]).await;
    let run = house.start("chain").await;
    assert_eq!(house.get("/api/queue").await.expect(200).json()["COMPLETED"], "conductor:_wait:COMPLETED");
    assert_eq!(house.get("/api/queue/size").await.expect(200).json()["conductor:_wait:COMPLETED"], 0);
    house.json("POST", &format!("/api/queue/update/{run}/one_0/COMPLETED"), json!({ "said": 1 })).await.expect(200);
    let workflow = house.get(&format!("/api/workflow/{run}")).await.expect(200).json();
    assert_eq!(workflow["tasks"][0]["status"], "COMPLETED");
    assert_eq!(workflow["tasks"][0]["outputData"]["said"], 1);
    let second = workflow["tasks"][1]["taskId"].as_str().unwrap();
    house.json("POST", &format!("/api/queue/update/{run}/task/{second}/FAILED"), json!({})).await.expect(200);
    house.json("POST", &format!("/api/queue/update/{run}/one_0/COMPLETED"), json!({})).await.expect(404);
    house.json("POST", &format!("/api/queue/update/{run}/two_1/DONE"), json!({})).await.expect(400);
}
