//! A worker's journey, with the requests that the Python SDK was seen to send.

use serde_json::{Value, json};

use super::House;

async fn next(house: &House, task_type: &str) -> Value {
    let polled =
        house.get(&format!("/api/tasks/poll/batch/{task_type}?workerid=w1&count=1&timeout=2000")).await.expect(200).json();
    polled.as_array().unwrap().first().cloned().unwrap_or_else(|| panic!("no {task_type} task came"))
}

fn done(task: &Value, status: &str) -> Value {
    json!({
        "workflowInstanceId": task["workflowInstanceId"], "taskId": task["taskId"], "workerId": "w1", "status": status,
        "outputData": { "greeting": "Hello" }, "logs": [{ "log": "hello", "taskId": task["taskId"], "createdTime": 1_795_327_179 }],
        "extendLease": false,
    })
}

#[tokio::test]
async fn a_workflow_is_run_by_a_polling_worker() {
    let house = House::new();
    house.define_chain("greetings", &["greet", "greet"]).await;
    let start = json!({ "name": "greetings", "version": 1, "correlationId": "c-1", "input": { "who": "Bob" }, "idempotencyStrategy": "FAIL" });
    let started = house.json("POST", "/api/workflow", start).await.expect(200);
    assert_eq!(started.header("content-type"), "text/plain;charset=UTF-8");
    let id = started.text();
    let first = next(&house, "greet").await;
    assert_eq!((first["status"].as_str(), first["inputData"]["who"].as_str()), (Some("IN_PROGRESS"), Some("Bob")));
    assert_eq!(first["workflowTask"]["taskReferenceName"], "greet_0");
    assert_eq!(first["correlationId"], "c-1");
    let lease = json!({ "workflowInstanceId": id, "taskId": first["taskId"], "status": "IN_PROGRESS", "extendLease": true });
    assert_eq!(house.json("POST", "/api/tasks", lease).await.expect(200).text(), first["taskId"].as_str().unwrap());
    let second = house.json("POST", "/api/tasks/update-v2", done(&first, "COMPLETED")).await.expect(200);
    assert_eq!(second.header("content-type"), "application/json");
    let second = second.json();
    assert_eq!(second["referenceTaskName"], "greet_1", "the update hands out the next task");
    let last = house.json("POST", "/api/tasks/update-v2", done(&second, "COMPLETED")).await.expect(204);
    assert!(last.body.is_empty());
    let workflow = house.get(&format!("/api/workflow/{id}?includeTasks=true")).await.expect(200).json();
    assert_eq!((workflow["status"].as_str(), workflow["output"]["greeting"].as_str()), (Some("COMPLETED"), Some("Hello")));
    assert_eq!(workflow["tasks"][0]["outputData"]["greeting"], "Hello");
    let log = house.get(&format!("/api/tasks/{}/log", first["taskId"].as_str().unwrap())).await.expect(200).json();
    assert_eq!((log[0]["log"].as_str(), log[0]["createdTime"].as_i64()), (Some("hello"), Some(1_795_327_179_000)));
    let brief = house.get(&format!("/api/workflow/{id}/status?includeOutput=True")).await.expect(200).json();
    assert_eq!((brief["status"].as_str(), brief["output"]["greeting"].as_str()), (Some("COMPLETED"), Some("Hello")));
    assert!(brief.get("variables").is_none());
}

#[tokio::test]
async fn a_worker_that_goes_on_with_its_task_gets_no_other() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    house.start("w").await;
    let task = next(&house, "t").await;
    house.start("w").await;
    let mut progress = done(&task, "IN_PROGRESS");
    progress["callbackAfterSeconds"] = json!(60);
    let answer = house.json("POST", "/api/tasks/update-v2", progress).await.expect(204);
    assert!(answer.body.is_empty());
    let other = next(&house, "t").await;
    assert_ne!(other["taskId"], task["taskId"], "the other one waits still");
}

#[tokio::test]
async fn an_alert_is_counted_and_the_task_goes_on() {
    let house = House::new();
    let alerting = json!([{ "name": "t", "timeoutSeconds": 1, "responseTimeoutSeconds": 1, "timeoutPolicy": "ALERT_ONLY" }]);
    house.json("POST", "/api/metadata/taskdefs", alerting).await.expect(200);
    house.define("w", json!([{ "name": "t", "taskReferenceName": "t" }])).await;
    let alerts = async || {
        let numbers = house.get("/metrics").await.expect(200).text();
        let line = numbers.lines().find_map(|line| line.strip_prefix("conductor_alerts_total ")).map(str::to_owned);
        line.expect("alerts are counted").parse::<u64>().unwrap()
    };
    assert_eq!(alerts().await, 0);
    let id = house.start("w").await;
    let task = next(&house, "t").await;
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while alerts().await == 0 {
        assert!(tokio::time::Instant::now() < deadline, "no alert was counted");
        let lease = json!({ "workflowInstanceId": id, "taskId": task["taskId"], "status": "IN_PROGRESS", "extendLease": true });
        house.json("POST", "/api/tasks", lease).await.expect(200);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(alerts().await, 1);
    house.json("POST", "/api/tasks", done(&task, "COMPLETED")).await.expect(200);
    assert_eq!(house.workflow(&id).await["status"], "COMPLETED");
}

#[tokio::test]
async fn an_empty_poll_has_no_body_and_an_empty_batch_is_a_list() {
    let house = House::new();
    assert!(house.get("/api/tasks/poll/ZZ").await.expect(204).body.is_empty());
    assert_eq!(house.get("/api/tasks/poll/batch/ZZ?timeout=1").await.expect(200).json(), json!([]));
    house.get("/api/tasks/poll/batch/ZZ?timeout=3600000").await.expect(400);
}

#[tokio::test]
async fn a_long_poll_is_woken_by_a_start() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    let (task, _) = tokio::join!(next(&house, "t"), house.start("w"));
    assert_eq!(task["taskType"], "t");
}

#[tokio::test]
async fn a_failure_ends_the_workflow_with_its_reason() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    let id = house.start("w").await;
    let task = next(&house, "t").await;
    let mut failed = done(&task, "FAILED_WITH_TERMINAL_ERROR");
    failed["reasonForIncompletion"] = json!("no such host");
    house.json("POST", "/api/tasks", failed).await.expect(200);
    let workflow = house.get(&format!("/api/workflow/{id}")).await.json();
    assert_eq!(workflow["status"], "FAILED");
    assert!(workflow["reasonForIncompletion"].as_str().unwrap().contains("no such host"), "{workflow}");
    assert_eq!(workflow["failedReferenceTaskNames"], json!(["t_0"]));
}

#[tokio::test]
async fn a_step_is_updated_by_its_reference() {
    let house = House::new();
    house.define_chain("w", &["t", "u"]).await;
    let id = house.start("w").await;
    let task = next(&house, "t").await;
    let mut half = done(&task, "IN_PROGRESS");
    half["outputData"] = json!({ "half": true, "z": 0 });
    house.json("POST", "/api/tasks", half).await.expect(200);
    let workflow = house
        .json("POST", &format!("/api/tasks/{id}/t_0/COMPLETED/sync?workerid=w"), json!({ "z": 1 }))
        .await
        .expect(200)
        .json();
    assert_eq!(
        (workflow["tasks"][0]["status"].as_str(), &workflow["tasks"][0]["outputData"]),
        (Some("COMPLETED"), &json!({ "half": true, "z": 1 })),
        "what is said by reference is merged over what was there"
    );
    let none = house.json("POST", &format!("/api/tasks/{id}/t_0/COMPLETED"), json!({})).await.expect(200);
    assert!(none.body.is_empty(), "no task is open at the step");
    house.json("POST", &format!("/api/tasks/{id}/u_1/DONE"), json!({})).await.expect(400);
}

#[tokio::test]
async fn raw_text_is_logged_and_read_back() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    house.start("w").await;
    let task = next(&house, "t").await;
    let path = format!("/api/tasks/{}/log", task["taskId"].as_str().unwrap());
    house.get(&path).await.expect(204);
    house.send("POST", &path, "a \"raw\" line").await.expect(200);
    assert_eq!(house.get(&path).await.expect(200).json()[0]["log"], "a \"raw\" line");
    let own = house.get(&format!("/api/v1/tasks/{}/logs", task["taskId"].as_str().unwrap())).await.expect(200).json();
    assert_eq!((own["items"][0]["stream"].as_str(), own["metadata"]["next_after"].as_u64()), (Some("worker"), Some(1)));
}

#[tokio::test]
async fn a_workflow_is_paused_resumed_and_terminated() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    let id = house.start("w").await;
    house.send("PUT", &format!("/api/workflow/{id}/pause"), "{}").await.expect(200);
    house.send("PUT", &format!("/api/workflow/{id}/pause"), "{}").await.expect(200);
    assert_eq!(house.get(&format!("/api/workflow/{id}/status")).await.json()["status"], "PAUSED");
    house.send("PUT", &format!("/api/workflow/{id}/resume"), "{}").await.expect(200);
    house.send("PUT", &format!("/api/workflow/{id}/resume"), "{}").await.expect(409);
    house.send("DELETE", &format!("/api/workflow/{id}?reason=because&triggerFailureWorkflow=True"), "{}").await.expect(200);
    let ended = house.get(&format!("/api/workflow/{id}?includeTasks=False")).await.json();
    assert_eq!((ended["status"].as_str(), ended["reasonForIncompletion"].as_str()), (Some("TERMINATED"), Some("because")));
    assert!(ended.get("tasks").is_none());
    house.send("PUT", &format!("/api/workflow/{id}/pause"), "{}").await.expect(409);
}

#[tokio::test]
async fn queues_are_counted() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    house.start("w").await;
    house.start("w").await;
    assert_eq!(house.get("/api/tasks/queue/sizes?taskType=t&taskType=zz").await.json(), json!({ "t": 2, "zz": 0 }));
    assert_eq!(house.get("/api/tasks/queue/size?taskType=t").await.json(), json!(2));
    assert_eq!(house.get("/api/tasks/queue/all").await.json()["t"], 2);
}

#[tokio::test]
async fn workflows_and_tasks_are_searched() {
    let house = House::new();
    house.define_chain("a", &["t"]).await;
    house.define_chain("b", &["t"]).await;
    let first = house.start("a").await;
    let second = house.start("a").await;
    house.start("b").await;
    let ask = async |query: &str| {
        house.get(&format!("/api/workflow/search?queryId=&size=10&freeText=*&query={query}")).await.expect(200).json()
    };
    let found = ask("workflowType='a'%20AND%20status='RUNNING'").await;
    assert_eq!(found["totalHits"], 2);
    assert_eq!(found["results"][0]["workflowId"], json!(second), "the newest first");
    assert_eq!(ask("workflowType%20IN%20(a,b)").await["totalHits"], 3);
    assert_eq!(ask("status=COMPLETED").await["totalHits"], 0);
    let oldest = house.get("/api/workflow/search-v2?sort=startTime:ASC&size=1").await.expect(200).json();
    assert_eq!((oldest["totalHits"].as_u64(), &oldest["results"][0]["workflowId"]), (Some(3), &json!(first)));
    assert_eq!(house.get("/api/workflow/running/a").await.json(), json!([second, first]));
    let began = house.workflow(&first).await["startTime"].as_i64().unwrap();
    for (narrowed, expected) in [
        ("version=1".to_owned(), json!([second, first])),
        ("version=2".to_owned(), json!([])),
        (format!("startTime={began}"), json!([second, first])),
        (format!("endTime={began}"), json!([])),
        (format!("startTime={}", began + 60_000), json!([])),
    ] {
        assert_eq!(house.get(&format!("/api/workflow/running/a?{narrowed}")).await.json(), expected, "{narrowed}");
    }
    let tasks = house.get(&format!("/api/tasks/search?query=workflowId={first}")).await.expect(200).json();
    assert_eq!((tasks["results"][0]["taskDefName"].as_str(), tasks["totalHits"].as_u64()), (Some("t"), Some(1)));
    assert_eq!(house.get(&format!("/api/workflow/{first}/tasks?status=SCHEDULED")).await.json()["totalHits"], 1);
}

#[tokio::test]
async fn the_tasks_of_a_workflow_are_read_page_by_page() {
    let house = House::new();
    let step = json!({ "name": "n", "taskReferenceName": "n", "type": "NOOP" });
    let looping = json!({ "name": "lp", "taskReferenceName": "lp", "type": "DO_WHILE", "loopOver": [step],
        "inputParameters": { "_items": (0..40).collect::<Vec<_>>() } });
    house.define("rounds", json!([looping])).await;
    let id = house.start("rounds").await;
    let page = async |query: &str| {
        let found = house.get(&format!("/api/workflow/{id}/tasks?{query}")).await.expect(200).json();
        let names: Vec<_> = found["results"].as_array().unwrap().iter().map(|task| task["referenceTaskName"].clone()).collect();
        (found["totalHits"].as_u64(), json!(names))
    };
    assert_eq!(page("start=0&count=2").await, (Some(41), json!(["lp", "n__1"])));
    assert_eq!(page("start=39&count=5").await, (Some(41), json!(["n__39", "n__40"])));
    assert_eq!(page("status=FAILED").await, (Some(0), json!([])));
    assert_eq!(page("").await.1.as_array().map(Vec::len), Some(15));
}

#[tokio::test]
async fn only_workflows_that_nobody_else_started_are_found_where_that_is_asked_for() {
    let house = House::new();
    house.define_chain("inner", &["t"]).await;
    let sub = json!({ "name": "s", "taskReferenceName": "s", "type": "SUB_WORKFLOW", "subWorkflowParam": { "name": "inner" } });
    house.define("outer", json!([sub])).await;
    let id = house.start("outer").await;
    let search = async |query: &str| house.get(&format!("/api/workflow/search?{query}")).await.expect(200).json();
    assert_eq!(search("topLevelOnly=False").await["totalHits"], 2);
    let top = search("topLevelOnly=True").await;
    assert_eq!((&top["totalHits"], &top["results"][0]["workflowId"]), (&json!(1), &json!(id)));
    assert_eq!(search("topLevelOnly=True&query=workflowType%3Dinner").await["totalHits"], 0);
}

#[tokio::test]
async fn workflows_are_found_by_correlation_id() {
    let house = House::new();
    house.define_chain("w", &["t"]).await;
    let id =
        house.json("POST", "/api/workflow/w?version=1&correlationId=cc&priority=3", json!({ "a": 1 })).await.expect(200).text();
    let found = house.get("/api/workflow/w/correlated/cc?includeTasks=true").await.expect(200).json();
    assert_eq!(
        (&found[0]["workflowId"], found[0]["priority"].as_u64(), found[0]["input"]["a"].as_i64()),
        (&json!(id), Some(3), Some(1))
    );
    let batch =
        house.json("POST", "/api/workflow/w/correlated?includeClosed=True", json!(["cc", "dd"])).await.expect(200).json();
    assert_eq!((batch["cc"].as_array().unwrap().len(), batch["dd"].as_array().unwrap().len()), (1, 0));
}
