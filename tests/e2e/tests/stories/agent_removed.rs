//! An agent that is not to come back.

use conductor_e2e::{AgentSpec, Stack, agent_task, step, until, workflow};
use conductor_model::WorkflowStatus;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use reqwest::Method;
use serde_json::json;

/// Whether the broker has the queue.
async fn has_queue(url: &str, name: &str) -> bool {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("the broker can be reached");
    let channel = connection.create_channel().await.expect("a channel can be opened");
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.into(), passive, FieldTable::default()).await.is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_agents_tasks_go_elsewhere_and_its_queue_is_gone() {
    let mut stack = Stack::options().agent(AgentSpec::new("agent-1")).lease(200, 2_000).start().await;
    let task = agent_task("slow", "gated", json!({ "agent": { "idempotent": true } }));
    stack.define(&[task], &[workflow("w", &[step("slow", "slow", json!({ "gate": "open" }))])]).await;
    let url = stack.broker_url();
    assert!(has_queue(&url, "agent.agent-1").await);
    let id = stack.run("w", json!({})).await;
    stack.effects.wait_for("slow", 1, 30).await;
    let path = "/api/v1/agents/agent-1";
    let busy = stack.raw().send(Method::DELETE, path, "application/json", "").await;
    assert_eq!(busy.status, 409, "it has a task: {}", busy.text);
    stack.agent("agent-1").lose_host();
    let gone = stack.raw().send(Method::DELETE, &format!("{path}?force=true"), "application/json", "").await;
    assert_eq!(gone.status, 204, "{}", gone.text);
    until("its queue is gone", 10, async || match has_queue(&url, "agent.agent-1").await {
        false => Ok(()),
        true => Err("it is there".to_owned()),
    })
    .await;
    stack.spawn_agent(AgentSpec::new("agent-2"));
    stack.effects.wait_for("slow", 2, 30).await;
    stack.effects.open_gate("open");
    let over = stack.wait_for_end(id, 60).await;
    assert_eq!(
        (over.status, over.tasks.last().and_then(|task| task.worker_id.as_deref())),
        (WorkflowStatus::Completed, Some("agent-2"))
    );
    assert!(!has_queue(&url, "agent.agent-1").await, "nothing that is left over for it brings its queue back");
}
