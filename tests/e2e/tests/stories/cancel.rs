//! Ending a workflow ends its processes.

use conductor_e2e::{AgentSpec, Stack, agent_task, is_running, step, until, workflow};
use conductor_model::{TaskStatus, WorkflowStatus};
use serde_json::json;

/// From TERM to KILL, and some time for the order to travel.
const GRACE_SECONDS: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_workflow_ends_its_process_on_the_host() {
    let stack = Stack::options().agent(AgentSpec::new("agent-1").slots(1)).start().await;
    let tasks = [agent_task("gated", "gated", json!({})), agent_task("quick", "quick", json!({}))];
    let steps = [step("gated", "held", json!({"gate": "never"})), step("quick", "after", json!({}))];
    let next = [step("quick", "next", json!({}))];
    stack.define(&tasks, &[workflow("held", &steps), workflow("next", &next)]).await;
    let id = stack.run("held", json!({})).await;
    let begun = stack.effects.wait_for("held", 1, 30).await;
    assert!(is_running(begun.pid));

    stack.client().terminate(&id.to_string(), Some("changed our minds")).await.unwrap();
    let over = stack.wait_for_end(id, 10).await;
    assert_eq!(over.status, WorkflowStatus::Terminated);
    assert_eq!(over.reason_for_incompletion.as_deref(), Some("changed our minds"));
    assert_eq!(over.tasks.iter().map(|task| task.status).collect::<Vec<_>>(), [TaskStatus::Canceled], "{over:#?}");
    until("its process is gone", GRACE_SECONDS, async || if is_running(begun.pid) { Err(begun.pid) } else { Ok(()) }).await;

    // The one slot is free again.
    let next = stack.run("next", json!({})).await;
    assert_eq!(stack.wait_for_end(next, 30).await.status, WorkflowStatus::Completed);
    assert!(stack.effects.beginnings_of("after").is_empty(), "nothing of a terminated workflow begins");
}
