//! Tasks that fit nowhere, yet.

use std::process::Command;

use conductor_e2e::{AgentSpec, Stack, agent_task, binary, step, until, workflow};
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

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_owner_drains_it_finishes_and_takes_nothing_new_until_he_says_so() {
    let mut stack = Stack::options().lease(200, 5000).agent(AgentSpec::new("agent-1")).start().await;
    let data_dir = stack.agent("agent-1").data_dir();
    let agent = |words: &[&str]| {
        let mut command = Command::new(binary("conductor-agent"));
        let output = command.args(words).arg("--data-dir").arg(&data_dir).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    let tasks = [agent_task("quick", "quick", json!({})), agent_task("gated", "gated", json!({}))];
    let flows = [
        workflow("quick", &[step("quick", "quick", json!({}))]),
        workflow("held", &[step("gated", "held", json!({"gate": "open"}))]),
    ];
    stack.define(&tasks, &flows).await;
    let held = stack.run("held", json!({})).await;
    stack.effects.wait_for("held", 1, 30).await;

    agent(&["drain", "--reason", "new disk"]);
    stack.wait_for_agent("agent-1", "draining").await;
    let waits = stack.run("quick", json!({})).await;
    let task = stack.wait_for_task(waits, "quick", 10, |task| task.status == TaskStatus::Scheduled).await;
    let client = stack.client();
    let why = until("its waiting is explained", 10, async || {
        client.placement(&task.task_id.to_string()).await.map_err(|error| error.to_string())
    })
    .await;
    assert!(why.to_string().contains("new disk"), "{why}");
    // The word holds over a restart, and what ran goes on.
    stack.agent("agent-1").kill9();
    stack.agent("agent-1").start();
    stack.effects.open_gate("open");
    assert_eq!(stack.wait_for_end(held, 60).await.status, WorkflowStatus::Completed);
    stack.wait_for_agent("agent-1", "draining").await;
    assert!(!stack.effects.all().iter().any(|effect| effect.reference == "quick"));

    agent(&["undrain"]);
    assert_eq!(stack.wait_for_end(waits, 30).await.status, WorkflowStatus::Completed);
}
