//! A host that is cut off from manager and broker for longer than its lease.

use std::time::Instant;

use conductor_e2e::{AgentSpec, Stack, agent_task, step, until, workflow};
use conductor_model::WorkflowStatus;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::json;

const LEASE_MS: u64 = 3000;

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_cut_off_finishes_keeps_deadlines_and_tells_all_of_it_afterwards() {
    let options = Stack::options().own_broker().lease(500, LEASE_MS);
    let mut stack = options.agent(AgentSpec::new("agent-1").slots(4)).start().await;
    let bounded = json!({"retryCount": 0, "timeoutSeconds": 5, "responseTimeoutSeconds": 4, "timeoutPolicy": "TIME_OUT_WF"});
    let tasks = [agent_task("chatter", "chatter", json!({"retryCount": 0})), agent_task("bounded", "gated", bounded)];
    let talks = workflow("talks", &[step("chatter", "chatter", json!({"gate": "open", "lines": 2000}))]);
    let hangs = workflow("hangs", &[step("bounded", "bounded", json!({"gate": "never"}))]);
    stack.define(&tasks, &[talks, hangs]).await;
    let talking = stack.run("talks", json!({})).await;
    let hanging = stack.run("hangs", json!({})).await;
    stack.effects.wait_for("chatter", 1, 30).await;
    stack.effects.wait_for("bounded", 1, 30).await;

    stack.manager.kill9();
    stack.node().kill9();
    let cut = Instant::now();
    stack.effects.open_gate("open");
    until("the task that may has ended", 30, async || {
        let ended = stack.effects.all().iter().any(|effect| !effect.begin && effect.reference == "chatter");
        if ended { Ok(()) } else { Err("not yet") }
    })
    .await;
    // Nobody but the host can have ended the one whose time was over.
    let bounded = stack.effects.all().into_iter().find(|effect| effect.reference == "bounded").unwrap();
    until("the other was ended at its deadline", 30, async || match kill(Pid::from_raw(bounded.pid), None) {
        Ok(()) => Err("it still runs"),
        Err(_) => Ok(()),
    })
    .await;
    until("the lease is long over", 30, async || {
        let away_ms = cut.elapsed().as_millis();
        if away_ms > u128::from(LEASE_MS) * 2 { Ok(()) } else { Err(away_ms) }
    })
    .await;
    stack.node().start_again();
    stack.manager.start().await;

    let over = stack.wait_for_end(talking, 60).await;
    assert_eq!(over.status, WorkflowStatus::Completed, "{over:#?}");
    assert_eq!(over.tasks[0].retry_count, 0);
    let (client, task) = (stack.client(), over.tasks[0].task_id.to_string());
    let lines: Vec<String> = until("all lines are there", 30, async || {
        let page = client.task_logs(&task, 0, 10_000).await.map_err(|error| error.to_string())?;
        if page.lines.len() >= 2000 { Ok(page.lines) } else { Err(page.lines.len().to_string()) }
    })
    .await
    .into_iter()
    .map(|line| line.text)
    .collect();
    let expected: Vec<String> = (1..=2000).map(|number| format!("line {number}")).collect();
    assert_eq!(lines, expected, "each line once, in order");
    let over = stack.wait_for_end(hanging, 30).await;
    assert_eq!(over.status, WorkflowStatus::TimedOut, "{over:#?}");
    stack.effects.assert_nothing_ran_twice(|_| false);
}
