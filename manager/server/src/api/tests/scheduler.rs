//! `/api/scheduler`, as SDKs and operators call it.

use serde_json::{Value, json};

use super::House;

async fn house() -> House {
    let house = House::new();
    house.define_chain("nightly", &["t"]).await;
    house
}

fn schedule(name: &str, more: Value) -> Value {
    let mut schedule = json!({ "name": name, "cronExpression": "0 0 3 * * ?", "zoneId": "Europe/Berlin",
        "startWorkflowRequest": { "name": "nightly", "input": { "who": "cron" } } });
    if let (Some(schedule), Value::Object(more)) = (schedule.as_object_mut(), more) {
        schedule.extend(more);
    }
    schedule
}

async fn save(house: &House, name: &str, more: Value) {
    house.json("POST", "/api/scheduler/schedules", schedule(name, more)).await.expect(200);
}

async fn stored(house: &House, name: &str) -> Value {
    house.get(&format!("/api/scheduler/schedules/{name}")).await.expect(200).json()
}

#[tokio::test]
async fn a_schedule_is_stored_read_replaced_and_removed() {
    let house = house().await;
    save(&house, "backup", json!({})).await;
    let first = stored(&house, "backup").await;
    assert_eq!((first["zoneId"].as_str(), first["paused"].as_bool()), (Some("Europe/Berlin"), Some(false)));
    assert_eq!(first["startWorkflowRequest"]["input"]["who"], "cron");
    let (created, next) = (first["createTime"].as_i64().unwrap(), first["nextRunTime"].as_i64().unwrap());
    assert!(next > created && first["createdBy"] == "admin", "{first}");
    save(&house, "backup", json!({ "cronExpression": "0 0 4 * * ?", "description": "later" })).await;
    let second = stored(&house, "backup").await;
    assert_eq!((second["createTime"].as_i64(), second["description"].as_str()), (Some(created), Some("later")));
    assert_ne!(second["nextRunTime"].as_i64(), Some(next));
    assert_eq!(house.get("/api/scheduler/schedules").await.expect(200).json().as_array().unwrap().len(), 1);
    assert_eq!(house.get("/api/scheduler/schedules?workflowName=other").await.expect(200).json(), json!([]));
    house.send("DELETE", "/api/scheduler/schedules/backup", "").await.expect(200);
    house.send("DELETE", "/api/scheduler/schedules/backup", "").await.expect(404);
    house.get("/api/scheduler/schedules/backup").await.expect(404);
}

#[tokio::test]
async fn what_is_wrong_with_a_schedule_is_said_and_nothing_is_stored() {
    let house = house().await;
    for (more, path) in [
        (json!({ "cronExpression": "every day" }), "cronExpression"),
        (json!({ "zoneId": "Mars/Olympus" }), "zoneId"),
        (json!({ "cronExpression": null }), "cronExpression"),
        (json!({ "cronSchedules": [{ "cronExpression": "61 * * * * *" }] }), "cronSchedules[0].cronExpression"),
        (json!({ "scheduleStartTime": 2000, "scheduleEndTime": 1000 }), "scheduleEndTime"),
        (json!({ "name": "" }), "name"),
        (json!({ "startWorkflowRequest": { "name": "nightly", "priority": 100 } }), "startWorkflowRequest.priority"),
    ] {
        let refused = house.json("POST", "/api/scheduler/schedules", schedule("s", more)).await.expect(400).json();
        assert!(refused["validationErrors"][0]["path"] == path, "{path}: {refused}");
    }
    let unknown = schedule("s", json!({ "startWorkflowRequest": { "name": "no-such-workflow" } }));
    house.json("POST", "/api/scheduler/schedules", unknown).await.expect(404);
    assert_eq!(house.get("/api/scheduler/schedules").await.expect(200).json(), json!([]));
}

#[tokio::test]
async fn a_schedule_rests_and_goes_on_by_put_and_by_get() {
    let house = house().await;
    save(&house, "backup", json!({})).await;
    for method in ["PUT", "GET"] {
        house.send(method, "/api/scheduler/schedules/backup/pause?reason=holidays", "").await.expect(200);
        let resting = stored(&house, "backup").await;
        assert_eq!((resting["paused"].as_bool(), resting["pausedReason"].as_str()), (Some(true), Some("holidays")), "{method}");
        assert!(resting.get("nextRunTime").is_none(), "what rests is not due");
        house.send(method, "/api/scheduler/schedules/backup/resume", "").await.expect(200);
        let going = stored(&house, "backup").await;
        assert!(going["paused"] == false && going["nextRunTime"].is_i64() && going.get("pausedReason").is_none(), "{method}");
    }
    house.send("PUT", "/api/scheduler/schedules/nothing/pause", "").await.expect(404);
    house.send("PUT", "/api/scheduler/schedules/nothing/resume", "").await.expect(404);
}

#[tokio::test]
async fn each_schedule_of_a_bulk_is_answered_for_itself() {
    let house = house().await;
    save(&house, "one", json!({})).await;
    save(&house, "two", json!({})).await;
    let answer = house.json("PUT", "/api/scheduler/bulk/pause", json!(["one", "none", "two"])).await.expect(200).json();
    assert_eq!(answer["bulkSuccessfulResults"], json!(["one", "two"]));
    assert!(answer["bulkErrorResults"]["none"].as_str().unwrap().contains("none"), "{answer}");
    assert_eq!(stored(&house, "two").await["paused"], true);
    house.json("PUT", "/api/scheduler/bulk/resume", json!(["two"])).await.expect(200);
    assert_eq!(
        (stored(&house, "one").await["paused"].as_bool(), stored(&house, "two").await["paused"].as_bool()),
        (Some(true), Some(false))
    );
    house.json("PUT", "/api/scheduler/bulk/pause", json!(vec!["x"; 5001])).await.expect(400);
}

#[tokio::test]
async fn schedules_are_searched() {
    let house = house().await;
    save(&house, "alpha", json!({ "description": "weekly report" })).await;
    save(&house, "beta", json!({ "paused": true })).await;
    let names = async |query: &str| {
        let found = house.get(&format!("/api/scheduler/schedules/search?{query}")).await.expect(200).json();
        let names: Vec<_> = found["results"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
        (found["totalHits"].as_u64().unwrap(), Value::from(names))
    };
    assert_eq!(names("start=0&size=10&freeText=*").await, (2, json!(["alpha", "beta"])));
    assert_eq!(names("sort=name:DESC&size=1").await, (2, json!(["beta"])));
    assert_eq!(names("paused=True").await, (1, json!(["beta"])));
    assert_eq!(names("freeText=REPORT").await, (1, json!(["alpha"])));
    assert_eq!(names("scheduleName=beta&workflowName=nightly").await, (1, json!(["beta"])));
    assert_eq!(names("workflowName=other").await, (0, json!([])));
}

#[tokio::test]
async fn what_came_of_due_moments_is_found_again() {
    let house = house().await;
    save(&house, "often", json!({ "cronExpression": "* * * * * *" })).await;
    let search = "/api/scheduler/search/executions?query=scheduleName%3Doften%20AND%20state%3DEXECUTED";
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    let run = loop {
        let found = house.get(search).await.expect(200).json();
        if found["totalHits"].as_u64() > Some(0) {
            break found["results"][0].clone();
        }
        assert!(tokio::time::Instant::now() < deadline, "no moment of every second came within 20 s");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    let workflow = house.workflow(run["workflowId"].as_str().unwrap()).await;
    assert_eq!((workflow["workflowName"].as_str(), workflow["input"]["who"].as_str()), (Some("nightly"), Some("cron")));
    assert_eq!(
        house.get("/api/scheduler/search/executions?query=scheduleName%3Dother").await.expect(200).json()["totalHits"],
        0
    );
    house.get("/api/scheduler/search/executions?query=colour%3Dred").await.expect(400);
}

#[tokio::test]
async fn the_next_moments_of_a_calendar_are_told_before_it_is_stored() {
    let house = House::new();
    let next = async |query: &str| house.get(&format!("/api/scheduler/nextFewSchedules?{query}")).await;
    let moments = next("cronExpression=0+0+12+*+*+?&limit=2&scheduleStartTime=1800000000000").await.expect(200).json();
    assert_eq!(moments, json!([1_800_014_400_000_i64, 1_800_100_800_000_i64]));
    assert_eq!(next("cronExpression=0+*+*+*+*+?").await.expect(200).json().as_array().unwrap().len(), 3);
    next("cronExpression=never").await.expect(400);
    next("cronExpression=0+*+*+*+*+?&zoneId=Mars").await.expect(400);
    next("").await.expect(400);
}

#[tokio::test]
async fn all_schedules_rest_together() {
    let house = house().await;
    save(&house, "backup", json!({})).await;
    assert_eq!(house.get("/api/scheduler/admin/pause").await.expect(200).json(), json!({ "paused": true }));
    let next = stored(&house, "backup").await;
    assert_eq!(next["paused"], false, "each keeps whether it rests by itself");
    assert_eq!(house.get("/api/scheduler/admin/requeue").await.expect(200).json(), json!({ "schedules": 1 }));
    assert_eq!(house.get("/api/scheduler/admin/resume").await.expect(200).json(), json!({ "paused": false }));
}
