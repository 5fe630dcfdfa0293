//! kill -9 of the manager.

use std::collections::BTreeSet;

use conductor_client::EventQuery;
use conductor_e2e::{AgentSpec, Stack, agent_task, fork, join, step, until, workflow};
use conductor_model::WorkflowStatus;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn tasks_that_end_while_the_manager_is_dead_are_not_lost_and_not_repeated() {
    let mut stack = Stack::options().agent(AgentSpec::new("agent-1").slots(4)).start().await;
    let tasks = [agent_task("quick", "quick", json!({})), agent_task("gated", "gated", json!({}))];
    let steps = [
        step("quick", "first", json!({})),
        fork(
            "apart",
            &[
                vec![step("gated", "left", json!({"gate": "open"})), step("quick", "left_after", json!({}))],
                vec![step("gated", "right", json!({"gate": "open"}))],
            ],
        ),
        join("together", &["left_after", "right"]),
        step("quick", "last", json!({})),
    ];
    stack.define(&tasks, &[workflow("halves", &steps)]).await;
    let mut events = stack.client().events(EventQuery { after: Some(0), workflow_id: None }).await.unwrap();
    let id = stack.run("halves", json!({})).await;
    stack.effects.wait_for("left", 1, 30).await;
    stack.effects.wait_for("right", 1, 30).await;

    stack.manager.kill9();
    stack.effects.open_gate("open");
    until("both tasks have ended", 30, async || {
        let ended = stack.effects.all().into_iter().filter(|effect| !effect.begin && effect.operation == "gated").count();
        if ended == 2 { Ok(()) } else { Err(ended) }
    })
    .await;
    stack.manager.start().await;

    let over = stack.wait_for_end(id, 60).await;
    assert_eq!(over.status, WorkflowStatus::Completed, "{over:#?}");
    assert!(over.tasks.iter().all(|task| task.retry_count == 0), "nothing was tried again: {over:#?}");
    assert_eq!(stack.effects.begun().len(), 5);
    stack.effects.assert_nothing_ran_twice(|_| false);

    // One stream over both lives of the manager: each step is over once, and ids only grow.
    events.narrow(id);
    let (mut last, mut completed) = (0, Vec::new());
    loop {
        let entry = tokio::time::timeout(std::time::Duration::from_secs(30), events.next()).await.unwrap().unwrap();
        assert!(entry.id > last, "event {} came after {last}", entry.id);
        last = entry.id;
        match &*entry.kind {
            "task.completed" => completed.push(entry.data.parse()["reference"].as_str().unwrap_or_default().to_owned()),
            "workflow.completed" => break,
            _ => {}
        }
    }
    let distinct: BTreeSet<_> = completed.iter().collect();
    assert_eq!(distinct.len(), completed.len(), "a step was told twice: {completed:?}");
    for reference in ["first", "left", "left_after", "right", "last"] {
        assert!(completed.iter().any(|told| told == reference), "{reference} was not told: {completed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_kills_in_the_middle_of_the_work() {
    const WORKFLOWS: usize = 40;
    let mut stack =
        Stack::options().agent(AgentSpec::new("agent-1").slots(2)).agent(AgentSpec::new("agent-2").slots(2)).start().await;
    let tasks = [agent_task("quick", "quick", json!({}))];
    let steps = [
        step("quick", "one", json!({})),
        fork("apart", &[vec![step("quick", "two", json!({}))], vec![step("quick", "three", json!({}))]]),
        join("together", &["two", "three"]),
    ];
    stack.define(&tasks, &[workflow("three", &steps)]).await;
    let mut acknowledged = Vec::new();
    for _ in 0..WORKFLOWS {
        acknowledged.push(stack.run("three", json!({})).await);
    }
    for kill in 1..=2 {
        let wanted = kill * WORKFLOWS * 3 / 4;
        until("some of the work is done", 60, async || {
            let begun = stack.effects.begun().len();
            if begun >= wanted { Ok(()) } else { Err(begun) }
        })
        .await;
        stack.manager.kill9();
        stack.manager.start().await;
    }
    for id in acknowledged {
        let over = stack.wait_for_end(id, 90).await;
        assert_eq!(over.status, WorkflowStatus::Completed, "{over:#?}");
    }
    assert_eq!(stack.effects.begun().len(), WORKFLOWS * 3, "each task once");
    stack.effects.assert_nothing_ran_twice(|_| false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_that_came_due_while_the_manager_was_dead_fires_at_its_start() {
    let mut stack = Stack::options().start().await;
    let late = agent_task("late", "quick", json!({"pollTimeoutSeconds": 1, "timeoutPolicy": "TIME_OUT_WF"}));
    stack.define(&[late], &[workflow("waits", &[step("late", "late", json!({}))])]).await;
    let id = stack.run("waits", json!({})).await;
    let started = std::time::Instant::now();
    stack.manager.kill9();
    until("the timer is overdue", 10, async || if started.elapsed().as_millis() > 1500 { Ok(()) } else { Err("not yet") })
        .await;
    // Other leases than before: RabbitMQ is to be told of nothing that it would have to refuse.
    stack.manager.set("CONDUCTOR_LEASE__LEASE_MS", "20000");
    stack.manager.start().await;
    let over = stack.wait_for_end(id, 5).await;
    assert_eq!(over.status, WorkflowStatus::TimedOut, "{over:#?}");
}
