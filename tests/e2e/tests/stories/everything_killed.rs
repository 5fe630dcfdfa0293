//! Manager, agent and RabbitMQ are killed, one after the other, while 200 workflows run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use conductor_client::{Client, StartRequest, WorkflowView};
use conductor_e2e::{AgentSpec, Deadline, Stack, agent_task, fork, join, step, until, workflow};
use conductor_model::{TaskStatus, WorkflowId, WorkflowStatus};
use serde_json::{Value, json};

const WORKFLOWS: usize = 200;
/// Steps that run something, in a chain and in a fork.
const CHAIN: [&str; 3] = ["one", "two", "three"];
const FORK: [&str; 5] = ["first", "left", "right", "middle", "last"];

fn definitions() -> ([Value; 2], [Value; 2]) {
    let tasks = [
        // Not idempotent: a second run is another attempt.
        agent_task("work", "quick", json!({"retryCount": 5, "responseTimeoutSeconds": 120})),
        agent_task("again", "quick", json!({"responseTimeoutSeconds": 120, "agent": {"idempotent": true}})),
    ];
    let work = |reference: &str| step("work", reference, json!({}));
    let again = |reference: &str| step("again", reference, json!({}));
    let chain = workflow("chain", &[work("one"), again("two"), work("three")]);
    let branches = [vec![work("left")], vec![again("right")], vec![work("middle")]];
    let fork = workflow(
        "fork",
        &[work("first"), fork("apart", &branches), join("together", &["left", "right", "middle"]), again("last")],
    );
    (tasks, [chain, fork])
}

/// Starts one workflow, again and again until it is acknowledged: the key keeps it one workflow.
async fn start(client: &Client, number: usize) -> WorkflowId {
    let request = StartRequest {
        name: if number.is_multiple_of(2) { "chain" } else { "fork" }.to_owned(),
        idempotency_key: Some(format!("order-{number}")),
        idempotency_strategy: Some("RETURN_EXISTING".to_owned()),
        ..StartRequest::default()
    };
    let deadline = Deadline::in_seconds(120);
    loop {
        match client.start(&request).await {
            Ok(id) => return id,
            Err(error) => {
                assert!(error.is_temporary(), "a start was refused for good: {error}");
                assert!(!deadline.is_over(), "a start was never acknowledged: {error}");
            }
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

async fn wait_for_beginnings(stack: &Stack, count: usize) {
    until(&format!("{count} tasks were begun"), 120, async || {
        let begun = stack.effects.begun().len();
        if begun >= count { Ok(()) } else { Err(begun) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_workflows_survive_the_death_of_everything() {
    let options = Stack::options().own_broker().lease(500, 4000);
    let mut stack = options
        .agent(AgentSpec::new("agent-1").slots(3))
        .agent(AgentSpec::new("agent-2").slots(3))
        .agent(AgentSpec::new("agent-3").slots(3))
        .start()
        .await;
    let (tasks, workflows) = definitions();
    stack.define(&tasks, &workflows).await;
    let client = stack.client();
    let starter = tokio::spawn(async move {
        let mut ids = Vec::new();
        for number in 0..WORKFLOWS {
            ids.push(start(&client, number).await);
        }
        ids
    });

    wait_for_beginnings(&stack, 60).await;
    stack.manager.kill9();
    stack.manager.start().await;
    wait_for_beginnings(&stack, 160).await;
    stack.agent("agent-2").kill9();
    wait_for_beginnings(&stack, 220).await;
    stack.agent("agent-2").start();
    wait_for_beginnings(&stack, 300).await;
    stack.node().kill9();
    stack.manager.kill9();
    stack.agent("agent-3").kill9();
    stack.agent("agent-3").start();
    stack.manager.spawn();
    stack.node().start_again();
    stack.manager.wait_until_up(true).await;

    let ids = tokio::time::timeout(Duration::from_secs(120), starter).await.expect("all are acknowledged").unwrap();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), WORKFLOWS, "each key is one workflow");
    let mut views = Vec::new();
    for id in &ids {
        views.push(stack.wait_for_end(*id, 120).await);
    }
    for view in &views {
        assert_right_end(view);
    }
    stack.effects.assert_nothing_ran_twice(|effect| ["two", "right", "last"].contains(&effect.reference.as_str()));
    assert_only_the_killed_lost_anything(&views);
    assert_every_run_is_a_known_task(&stack, &views);
    // No workflow beside those that were acknowledged, and nothing that still goes on.
    let page = stack.client().search("", 0, 1).await.unwrap();
    assert_eq!(page.total_hits, WORKFLOWS as u64);
    assert_eq!(stack.client().search("status=RUNNING", 0, 1).await.unwrap().total_hits, 0);
}

/// Completed, with each step completed exactly once, and everything else of it ended too.
fn assert_right_end(view: &WorkflowView) {
    assert_eq!(view.status, WorkflowStatus::Completed, "{view:#?}");
    let steps: &[&str] = if view.workflow_name == "chain" { &CHAIN } else { &FORK };
    for reference in steps {
        let attempts: Vec<_> = view.tasks.iter().filter(|task| task.reference_task_name == *reference).collect();
        let completed = attempts.iter().filter(|task| task.status == TaskStatus::Completed).count();
        assert_eq!(completed, 1, "{reference}: {attempts:#?}");
    }
    assert!(view.tasks.iter().all(|task| task.status.is_terminal()), "{view:#?}");
}

/// An attempt that failed was lost with an agent that was killed, and there are no more of them than slots that were killed.
fn assert_only_the_killed_lost_anything(views: &[WorkflowView]) {
    let mut lost = BTreeMap::<String, usize>::new();
    for task in views.iter().flat_map(|view| &view.tasks).filter(|task| task.status != TaskStatus::Completed) {
        let agent = task.worker_id.clone().unwrap_or_default();
        assert!(agent == "agent-2" || agent == "agent-3", "failed, though its agent was not killed: {task:#?}");
        *lost.entry(agent).or_default() += 1;
    }
    assert!(lost.values().all(|count| *count <= 3), "an agent loses no more than it was running: {lost:?}");
}

fn assert_every_run_is_a_known_task(stack: &Stack, views: &[WorkflowView]) {
    let known: BTreeSet<String> = views.iter().flat_map(|view| &view.tasks).map(|task| task.task_id.to_string()).collect();
    let strangers: Vec<_> = stack.effects.begun().into_keys().filter(|task| !known.contains(task)).collect();
    assert!(strangers.is_empty(), "tasks ran that no workflow knows: {strangers:?}");
}
