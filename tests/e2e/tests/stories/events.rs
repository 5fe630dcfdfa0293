//! Messages between workflows over a real RabbitMQ.

use std::time::{Duration, Instant};

use conductor_e2e::Stack;
use conductor_model::{WorkflowId, WorkflowStatus};
use reqwest::Method;
use serde_json::{Value, json};

/// Longest wait for a message to have its effect.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many runs of a definition have a correlation id.
async fn runs(stack: &Stack, name: &str, correlation: &str) -> usize {
    let path = format!("/api/workflow/{name}/correlated/{correlation}?includeClosed=true");
    let answer = stack.raw().send(Method::GET, &path, "application/json", "").await;
    answer.json.as_array().map_or(0, Vec::len)
}

async fn until_runs(stack: &Stack, name: &str, correlation: &str, wanted: usize) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = runs(stack, name, correlation).await;
        if found == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{found} runs of {name} with {correlation} instead of {wanted}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn event_step(sink: &str) -> Value {
    json!({ "name": "say", "taskReferenceName": "say", "type": "EVENT", "sink": sink,
        "inputParameters": { "order": { "id": "${workflow.input.id}" } } })
}

fn noop(name: &str) -> Value {
    json!({ "name": name, "version": 1, "schemaVersion": 2, "tasks": [{ "name": "n", "taskReferenceName": "n", "type": "NOOP" }] })
}

#[tokio::test(flavor = "multi_thread")]
async fn events_travel_over_queues_and_exchanges() {
    let mut stack = Stack::options().start().await;
    let flow = |name: &str, sink: &str| json!({ "name": name, "version": 1, "schemaVersion": 2, "tasks": [event_step(sink)] });
    stack
        .define(
            &[],
            &[
                flow("to_queue", "amqp_queue:orders"),
                flow("to_exchange", "amqp_exchange:shop?exchangeType=topic&routingKey=order.new"),
                noop("from_queue"),
                noop("from_exchange"),
            ],
        )
        .await;
    let handler = |name: &str, event: &str, starts: &str| {
        json!({ "name": name, "event": event, "active": true, "actions": [
            { "action": "start_workflow", "start_workflow": { "name": starts, "correlationId": "${order.id}" } }] })
    };
    let handlers = json!([
        handler("queue", "amqp_queue:orders", "from_queue"),
        handler(
            "exchange",
            "amqp_exchange:shop?exchangeType=topic&routingKey=order.*&bindQueueName=shop_orders",
            "from_exchange"
        ),
    ]);
    // Said before anybody listens: a queue keeps it.
    let early = stack.run("to_queue", json!({ "id": "early" })).await;
    assert_eq!(stack.wait_for_end(early, 60).await.status, WorkflowStatus::Completed);
    let answer = stack.raw().json(Method::POST, "/api/event", &handlers).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    until_runs(&stack, "from_queue", "early", 1).await;
    for (flow, target, id) in [("to_queue", "from_queue", "q-1"), ("to_exchange", "from_exchange", "x-1")] {
        let deadline = Instant::now() + PATIENCE;
        // Who publishes to an exchange before its queue is bound talks to nobody: say it until somebody listens.
        while runs(&stack, target, id).await == 0 {
            assert!(Instant::now() < deadline, "{target} was not started");
            let said = stack.run(flow, json!({ "id": id })).await;
            assert_eq!(stack.wait_for_end(said, 60).await.status, WorkflowStatus::Completed);
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
    // Killed and back: it listens again by itself, and what was said is not lost.
    stack.manager.kill9();
    stack.manager.start().await;
    let again = stack.run("to_queue", json!({ "id": "q-2" })).await;
    assert_eq!(stack.wait_for_end(again, 60).await.status, WorkflowStatus::Completed);
    until_runs(&stack, "from_queue", "q-2", 1).await;
}

/// What a message has done to a workflow, once it has.
async fn until(stack: &Stack, id: WorkflowId, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let path = format!("/api/workflow/{id}?includeTasks=true");
        let workflow = stack.raw().send(Method::GET, &path, "application/json", "").await.json;
        if is_so(&workflow) {
            return workflow;
        }
        assert!(Instant::now() < deadline, "{what}: {workflow:#}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_steer_workflows_that_go_on() {
    let stack = Stack::options().start().await;
    let waiting = json!({ "name": "waiting", "version": 1, "schemaVersion": 2,
        "tasks": [{ "name": "w", "taskReferenceName": "w", "type": "WAIT" }] });
    let actions = [
        ("complete_task", json!({ "workflowId": "${to}", "taskRefName": "w", "output": { "n": "${n}" } })),
        ("fail_task", json!({ "workflowId": "${to}", "taskRefName": "w", "reasonForIncompletion": "said ${n}" })),
        ("terminate_workflow", json!({ "workflowId": "${to}", "terminationReason": "said ${n}" })),
        ("update_workflow_variables", json!({ "workflowId": "${to}", "variables": { "n": "${n}" } })),
    ];
    let flow = |action: &str| {
        json!({ "name": format!("say_{action}"), "version": 1, "schemaVersion": 2, "tasks": [{ "name": "say", "taskReferenceName": "say",
            "type": "EVENT", "sink": format!("amqp_queue:{action}"),
            "inputParameters": { "to": "${workflow.input.to}", "n": "${workflow.input.n}" } }] })
    };
    let mut flows: Vec<Value> = actions.iter().map(|(action, _)| flow(action)).collect();
    flows.push(waiting);
    stack.define(&[], &flows).await;
    let handlers: Vec<Value> = actions
        .iter()
        .map(|(action, details)| {
            json!({ "name": action, "event": format!("amqp_queue:{action}"), "active": true,
                "actions": [{ "action": action, *action: details }] })
        })
        .collect();
    let answer = stack.raw().json(Method::POST, "/api/event", &json!(handlers)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    for (action, _) in &actions {
        let to = stack.run("waiting", json!({})).await;
        let said = stack.run(&format!("say_{action}"), json!({ "to": to, "n": 7 })).await;
        assert_eq!(stack.wait_for_end(said, 60).await.status, WorkflowStatus::Completed);
        let (status, what): (&str, fn(&Value) -> bool) = match *action {
            "complete_task" => ("COMPLETED", |workflow| workflow["tasks"][0]["outputData"]["n"] == 7),
            "fail_task" => ("FAILED", |workflow| workflow["reasonForIncompletion"].to_string().contains("said 7")),
            "terminate_workflow" => ("TERMINATED", |workflow| workflow["reasonForIncompletion"] == "said 7"),
            _ => ("RUNNING", |workflow| workflow["variables"]["n"] == 7),
        };
        until(&stack, to, action, |workflow| workflow["status"] == status && what(workflow)).await;
    }
}
