//! Tasks that fit nowhere, yet.

use conductor_e2e::{AgentSpec, Stack, agent_task, step, until, workflow};
use conductor_model::{TaskStatus, WorkflowStatus};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_fits_nowhere_says_why_and_begins_when_its_agent_joins() {
    let mut stack = Stack::options().agent(AgentSpec::new("agent-1").label("role", "web")).start().await;
    let task = agent_task("quick", "quick", json!({"agent": {"requires": "role=database"}}));
    stack.define(&[task], &[workflow("picky", &[step("quick", "picky", json!({}))])]).await;
    let id = stack.run("picky", json!({})).await;
    let client = stack.client();
    let waiting = stack.wait_for_task(id, "picky", 10, |task| task.status == TaskStatus::Scheduled).await;
    let explained = until("its waiting is explained", 10, async || {
        client.placement(&waiting.task_id.to_string()).await.map_err(|error| error.to_string())
    })
    .await;
    let text = explained.to_string();
    assert!(text.contains("agent-1") && text.contains("role=database"), "who does not fit, and why: {text}");

    stack.spawn_agent(AgentSpec::new("agent-2").label("role", "database"));
    let over = stack.wait_for_end(id, 60).await;
    assert_eq!(over.status, WorkflowStatus::Completed);
    assert_eq!(over.tasks[0].worker_id.as_deref(), Some("agent-2"));
    assert_eq!(over.tasks[0].retry_count, 0);
}
