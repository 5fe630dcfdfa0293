//! kill -9 of an agent while its tasks run: each goes on as its definition says, and no other way.

use conductor_client::WorkflowView;
use conductor_e2e::{AgentSpec, Stack, StackOptions, agent_task, is_running, step, workflow};
use conductor_model::{TaskStatus, WorkflowId, WorkflowStatus};
use serde_json::json;

/// Three workflows with one task each: one that may run once, one that may run again, one that may be tried again.
struct Three {
    once: WorkflowId,
    again: WorkflowId,
    retried: WorkflowId,
}

async fn three_begun(options: StackOptions) -> (Stack, Three) {
    let stack = options.agent(AgentSpec::new("agent-1").slots(3)).start().await;
    let tasks = [
        agent_task("once", "gated", json!({})),
        agent_task("again", "gated", json!({"agent": {"idempotent": true}})),
        agent_task("retried", "gated", json!({"retryCount": 1})),
    ];
    let one = |name: &str| workflow(name, &[step(name, name, json!({"gate": "open"}))]);
    stack.define(&tasks, &["once", "again", "retried"].map(one)).await;
    let three = Three {
        once: stack.run("once", json!({})).await,
        again: stack.run("again", json!({})).await,
        retried: stack.run("retried", json!({})).await,
    };
    for reference in ["once", "again", "retried"] {
        stack.effects.wait_for(reference, 1, 30).await;
    }
    (stack, three)
}

/// What must come of the three, wherever the second beginnings happen.
async fn assert_each_went_as_it_may(stack: &Stack, three: &Three) {
    stack.effects.wait_for("again", 2, 60).await;
    stack.effects.wait_for("retried", 2, 60).await;
    stack.effects.open_gate("open");
    let [once, again, retried] = [
        stack.wait_for_end(three.once, 60).await,
        stack.wait_for_end(three.again, 60).await,
        stack.wait_for_end(three.retried, 60).await,
    ];
    let statuses = |view: &WorkflowView| view.tasks.iter().map(|task| task.status).collect::<Vec<_>>();

    assert_eq!((once.status, statuses(&once)), (WorkflowStatus::Failed, vec![TaskStatus::Failed]), "{once:#?}");
    let reason = once.tasks[0].reason_for_incompletion.clone().unwrap_or_default();
    assert!(!reason.is_empty() && !once.reason_for_incompletion.clone().unwrap_or_default().is_empty(), "{once:#?}");
    assert_eq!(stack.effects.beginnings_of("once").len(), 1, "nobody knows how far it came, so it may not run again");

    assert_eq!((again.status, statuses(&again)), (WorkflowStatus::Completed, vec![TaskStatus::Completed]), "{again:#?}");
    let beginnings = stack.effects.beginnings_of("again");
    assert!(beginnings.iter().all(|effect| effect.task == again.tasks[0].task_id.to_string()), "the same task: {beginnings:?}");

    assert_eq!(retried.status, WorkflowStatus::Completed, "{retried:#?}");
    assert_eq!(statuses(&retried), [TaskStatus::Failed, TaskStatus::Completed], "{retried:#?}");
    let attempts: Vec<u32> = stack.effects.beginnings_of("retried").iter().map(|effect| effect.attempt).collect();
    assert_eq!(attempts, [0, 1], "the second run is an attempt of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_comes_back_knows_what_it_had_begun() {
    let (mut stack, three) = three_begun(Stack::options()).await;
    let orphans: Vec<i32> = stack.effects.all().iter().map(|effect| effect.pid).collect();
    stack.agent("agent-1").kill9();
    assert!(orphans.iter().all(|&pid| is_running(pid)), "killing the agent alone leaves its processes");
    stack.agent("agent-1").start();

    assert_each_went_as_it_may(&stack, &three).await;
    assert!(!orphans.iter().any(|&pid| is_running(pid)), "what the dead agent had begun was killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tasks_of_a_host_that_stays_away_are_given_up_with_its_lease() {
    let (mut stack, three) = three_begun(Stack::options().lease(300, 2000)).await;
    stack.agent("agent-1").lose_host();
    stack.wait_for_agent("agent-1", "offline").await;
    stack.spawn_agent(AgentSpec::new("agent-2").slots(3));

    assert_each_went_as_it_may(&stack, &three).await;
    let second: Vec<String> = ["again", "retried"].map(|step| stack.effects.beginnings_of(step)[1].agent.clone()).into();
    assert_eq!(second, ["agent-2", "agent-2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_comes_back_after_its_lease_does_not_spoil_what_was_decided() {
    let (mut stack, three) = three_begun(Stack::options().lease(300, 2000)).await;
    stack.agent("agent-1").lose_host();
    stack.wait_for_agent("agent-1", "offline").await;
    stack.spawn_agent(AgentSpec::new("agent-2").slots(3));
    stack.effects.wait_for("again", 2, 60).await;
    stack.effects.wait_for("retried", 2, 60).await;
    stack.agent("agent-1").start();
    stack.wait_for_agent("agent-1", "active").await;

    assert_each_went_as_it_may(&stack, &three).await;
}
