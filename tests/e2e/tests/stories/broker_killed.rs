//! kill -9 of RabbitMQ under load.

use conductor_e2e::{AgentSpec, Stack, agent_task, fork, join, step, until, workflow};
use conductor_model::WorkflowStatus;
use serde_json::{Value, json};

const BEFORE: usize = 40;
const WHILE_AWAY: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_where_it_was_when_rabbitmq_comes_back() {
    let options = Stack::options().own_broker().lease(500, 3000);
    let mut stack = options.agent(AgentSpec::new("agent-1").slots(2)).agent(AgentSpec::new("agent-2").slots(2)).start().await;
    let tasks = [agent_task("quick", "quick", json!({})), agent_task("gated", "gated", json!({}))];
    let steps = [
        step("quick", "one", json!({})),
        fork("apart", &[vec![step("quick", "two", json!({}))], vec![step("quick", "three", json!({}))]]),
        join("together", &["two", "three"]),
        step("quick", "four", json!({})),
    ];
    let held = [step("gated", "held", json!({"gate": "open"}))];
    stack.define(&tasks, &[workflow("four", &steps), workflow("held", &held)]).await;

    // One task runs through all of it: it begins before RabbitMQ dies and ends while it is dead.
    let mut ids = vec![stack.run("held", json!({})).await];
    stack.effects.wait_for("held", 1, 30).await;
    for _ in 0..BEFORE {
        ids.push(stack.run("four", json!({})).await);
    }
    until("some of the work is done", 60, async || {
        let begun = stack.effects.begun().len();
        if begun >= BEFORE { Ok(()) } else { Err(begun) }
    })
    .await;
    stack.node().kill9();
    let client = stack.client();
    until("the manager notices", 30, async || {
        let health = stack.raw().get("/health").await;
        if health.json["healthy"] == Value::Bool(false) { Ok(()) } else { Err(health.text) }
    })
    .await;
    stack.effects.open_gate("open");
    for _ in 0..WHILE_AWAY {
        ids.push(stack.run("four", json!({})).await);
    }
    until("the task that was running has ended", 30, async || {
        if stack.effects.all().iter().any(|effect| !effect.begin && effect.operation == "gated") {
            Ok(())
        } else {
            Err("not yet")
        }
    })
    .await;
    assert!(
        client.agents().await.unwrap().iter().all(|agent| agent.state == "active"),
        "no agent is blamed for a broker that is away"
    );
    stack.node().start_again();

    for id in ids {
        let over = stack.wait_for_end(id, 120).await;
        assert_eq!(over.status, WorkflowStatus::Completed, "{over:#?}");
    }
    assert_eq!(stack.effects.begun().len(), 1 + 4 * (BEFORE + WHILE_AWAY), "each task once");
    stack.effects.assert_nothing_ran_twice(|_| false);
}
