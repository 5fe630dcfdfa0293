//! What operators look at and turn: `/api/admin`, `/api/tasks/queue`.

use serde_json::json;

use super::House;

async fn house() -> (House, String) {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    let id = house.start("w").await;
    (house, id)
}

#[tokio::test]
async fn settings_are_shown_without_secrets() {
    let (house, _) = house().await;
    let config = house.get("/api/admin/config").await.expect(200);
    assert!(config.json()["version"].is_string() && config.json()["lease.lease_ms"].is_string());
    assert!(!config.text().contains("amqp"), "the broker's address has a password");
}

#[tokio::test]
async fn the_open_tasks_of_a_type_are_listed_page_by_page() {
    let (house, id) = house().await;
    house.start("w").await;
    let tasks = house.get("/api/admin/task/t").await.expect(200).json();
    assert_eq!((tasks.as_array().unwrap().len(), tasks[1]["workflowInstanceId"].as_str()), (2, Some(id.as_str())));
    assert_eq!(house.get("/api/admin/task/t?start=1&count=5").await.expect(200).json().as_array().unwrap().len(), 1);
    assert_eq!(house.get("/api/admin/task/other").await.expect(200).json(), json!([]));
    house.get("/api/admin/task/t?count=many").await.expect(400);
    house.work("t", "COMPLETED", json!({})).await;
    assert_eq!(house.get("/api/admin/task/t").await.expect(200).json().as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn queues_show_what_waits_and_what_workers_have() {
    let (house, id) = house().await;
    house.start("w").await;
    let sizes = async || house.get("/api/tasks/queue/all/verbose").await.expect(200).json();
    assert_eq!(sizes().await, json!({ "t": { "local": { "size": 2, "uacked": 0 } } }));
    let polled = house.get("/api/tasks/poll/t?workerid=w1").await.expect(200).json();
    assert_eq!(sizes().await, json!({ "t": { "local": { "size": 1, "uacked": 1 } } }));
    assert_eq!(house.get("/api/tasks/queue/all").await.expect(200).json(), json!({ "t": 1 }));
    assert_eq!(house.get("/api/admin/queues").await.expect(200).json(), json!({ "t": 1 }));
    let done = json!({ "taskId": polled["taskId"], "workflowInstanceId": polled["workflowInstanceId"], "status": "COMPLETED" });
    house.json("POST", "/api/tasks", done).await.expect(200);
    assert_eq!(sizes().await, json!({ "t": { "local": { "size": 1, "uacked": 0 } } }));
    house.work("t", "IN_PROGRESS", json!({})).await;
    let last = sizes().await;
    assert_eq!(last["t"]["local"]["uacked"], 0, "a task that was given back is with nobody: {last}");
    for run in [&id, polled["workflowInstanceId"].as_str().unwrap()] {
        house.send("DELETE", &format!("/api/workflow/{run}"), "").await;
    }
    house.get("/api/tasks/queue/size").await.expect(400);
    assert_eq!(house.get("/api/tasks/queue/size?taskType=t&isolationGroupId=x").await.expect(200).json(), json!(0));
}

#[tokio::test]
async fn domains_are_queues_of_their_own() {
    let (house, _) = house().await;
    let start = json!({ "name": "w", "taskToDomain": { "t": "gpu" } });
    house.get("/api/tasks/poll/batch/t?workerid=g1&domain=gpu&timeout=1").await.expect(200);
    house.json("POST", "/api/workflow", start).await.expect(200);
    assert_eq!(house.get("/api/tasks/queue/all").await.expect(200).json(), json!({ "t": 1, "gpu:t": 1 }));
    let size = async |query: &str| house.get(&format!("/api/tasks/queue/size?taskType=t{query}")).await.expect(200).json();
    assert_eq!((size("").await, size("&domain=gpu").await), (json!(2), json!(1)));
}

#[tokio::test]
async fn the_domain_that_a_task_would_get_is_told_before_it_is_started() {
    let (house, _) = house().await;
    let domain = async |listed: &str| {
        house.get(&format!("/api/v1/domain?taskType=t&domains={listed}")).await.expect(200).json()["domain"].clone()
    };
    assert_eq!(domain("gpu,cpu").await, "cpu", "nobody polls: the last");
    house.get("/api/tasks/poll/batch/t?workerid=g1&domain=gpu&timeout=1").await.expect(200);
    assert_eq!((domain("gpu,cpu").await, domain("cpu,gpu,NO_DOMAIN").await), (json!("gpu"), json!("gpu")));
    assert_eq!(domain("cpu,NO_DOMAIN").await, json!(null));
    let start = json!({ "name": "w", "taskToDomain": { "t": "gpu,cpu" } });
    let id = house.json("POST", "/api/workflow", start).await.expect(200).text();
    assert_eq!(house.workflow(&id).await["tasks"][0]["domain"], "gpu", "as it was told");
    let refused = house.get("/api/v1/domain?taskType=t").await.expect(400).json();
    assert!(refused["detail"].as_str().unwrap().contains("domains"), "{refused}");
}

#[tokio::test]
async fn who_polled_last_is_remembered() {
    let (house, _) = house().await;
    house.get("/api/tasks/poll/t?workerid=w1").await.expect(200);
    let seen = house.get("/api/tasks/queue/polldata?taskType=t").await.expect(200).json();
    assert_eq!((seen[0]["queueName"].as_str(), seen[0]["workerId"].as_str()), (Some("t"), Some("w1")));
    assert!(seen[0]["lastPollTime"].as_i64() > Some(1_700_000_000_000), "{seen}");
    assert_eq!(house.get("/api/tasks/queue/polldata/all").await.expect(200).json(), seen);
    assert_eq!(house.get("/api/tasks/queue/polldata?taskType=u").await.expect(200).json(), json!([]));
    house.get("/api/tasks/queue/polldata").await.expect(400);
}

#[tokio::test]
async fn workflows_and_queues_are_looked_at_again_where_that_is_asked_for() {
    let (house, id) = house().await;
    assert_eq!(house.send("POST", &format!("/api/admin/sweep/requeue/{id}"), "").await.expect(200).text(), "true");
    let verified = house.send("POST", &format!("/api/admin/consistency/verifyAndRepair/{id}"), "").await.expect(200);
    assert_eq!(verified.text(), "false", "nothing is ever to be repaired");
    assert_eq!(house.send("POST", "/api/tasks/queue/requeue/t", "").await.expect(200).text(), "1");
    let nobody = "01890a5d-ac96-774b-bcce-b302099a8057";
    house.send("POST", &format!("/api/admin/sweep/requeue/{nobody}"), "").await.expect(404);
    house.send("POST", &format!("/api/admin/consistency/verifyAndRepair/{nobody}"), "").await.expect(404);
}
