//! kill -9 of an agent while its tasks run. Its runner goes on: nothing is lost, nothing runs twice. Where the runner is
//! killed as well each task goes on as its definition says, and no other way.

use std::path::Path;

use conductor_client::{Client, WorkflowView};
use conductor_e2e::{AgentSpec, Stack, StackOptions, agent_task, is_running, pack_files, step, until, workflow};
use conductor_model::{TaskStatus, WorkflowId, WorkflowStatus};
use conductor_wire::amqp::QUEUE_LEASE;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
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
async fn tasks_outlive_their_agent() {
    let (mut stack, three) = three_begun(Stack::options()).await;
    stack.agent("agent-1").kill9();
    stack.agent("agent-1").start();
    stack.wait_for_agent("agent-1", "active").await;
    stack.effects.open_gate("open");
    for (id, step) in [(three.once, "once"), (three.again, "again"), (three.retried, "retried")] {
        let view = stack.wait_for_end(id, 60).await;
        assert_eq!(view.status, WorkflowStatus::Completed, "{view:#?}");
        assert_eq!(view.tasks.len(), 1, "{view:#?}");
        assert_eq!(stack.effects.beginnings_of(step).len(), 1, "it ran once");
    }
}

/// Says 3,000 numbered lines, waits for the gate, and says as many again.
const SPEAKER: &str = "#!/bin/sh\n\
    cd \"$CONDUCTOR_PLUGIN_DIR\"; i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done\n\
    while ! [ -e speak.sh.open ]; do sleep 0.05; done\n\
    while [ $i -lt 6000 ]; do echo line $i; i=$((i+1)); done\n\
    echo '{\"type\":\"output\",\"values\":{\"said\":6000}}' >&3\n";
const SPEAKER_MANIFEST: &str = "name: speaker\nversion: 1.0.0\nentrypoint: speak.sh\noperations:\n  speak: {}\n";

#[tokio::test(flavor = "multi_thread")]
async fn every_line_and_the_result_arrive_once_and_in_order_over_the_death_of_the_agent() {
    let mut stack = Stack::options().agent(AgentSpec::new("agent-1")).start().await;
    let plugin = pack_files(&[("plugin.yaml", SPEAKER_MANIFEST, false), ("speak.sh", SPEAKER, true)]);
    stack.client().upload_plugin(plugin, "application/gzip").await.unwrap();
    let task = json!({"name": "speak", "agent": {"plugin": "speaker", "operation": "speak"}});
    stack.define(&[task], &[workflow("speak", &[step("speak", "speak", json!({}))])]).await;
    let id = stack.run("speak", json!({})).await;
    let running = stack.wait_for_task(id, "speak", 60, |task| task.status == TaskStatus::InProgress).await;
    let task_id = running.task_id.to_string();
    let client = stack.client();
    wait_for_lines(&client, &task_id, 100).await;
    stack.agent("agent-1").kill9();
    open_gates(&stack.agent("agent-1").data_dir());
    stack.agent("agent-1").start();

    let view = stack.wait_for_end(id, 60).await;
    assert_eq!((view.status, view.tasks.len()), (WorkflowStatus::Completed, 1), "{view:#?}");
    assert_eq!(view.tasks[0].output_data["said"], json!(6000), "{view:#?}");
    let lines = wait_for_lines(&client, &task_id, 6000).await;
    let expected: Vec<String> = (0..6000).map(|number| format!("line {number}")).collect();
    assert!(lines == expected, "{} lines came", lines.len());
}

/// Waits until so many lines of a task are stored; all of them.
async fn wait_for_lines(client: &Client, task: &str, count: usize) -> Vec<String> {
    until(&format!("{count} lines are stored"), 60, async || {
        let mut lines = Vec::new();
        let mut after = 0;
        loop {
            let page = client.task_logs(task, after, 1000).await.map_err(|error| error.to_string())?;
            if page.lines.is_empty() {
                break;
            }
            after = page.next_after;
            lines.extend(page.lines.into_iter().map(|line| line.text));
        }
        if lines.len() >= count { Ok(lines) } else { Err(format!("{} lines", lines.len())) }
    })
    .await
}

/// Opens the gate beside each copy of the speaker.
fn open_gates(data: &Path) {
    for plugin in std::fs::read_dir(data.join("plugins")).unwrap().flatten() {
        if plugin.path().join("speak.sh").is_file() {
            std::fs::write(plugin.path().join("speak.sh.open"), "").unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_runner_died_too_knows_what_it_had_begun() {
    let (mut stack, three) = three_begun(Stack::options()).await;
    let orphans: Vec<i32> = stack.effects.all().iter().map(|effect| effect.pid).collect();
    stack.agent("agent-1").kill9();
    stack.agent("agent-1").kill9_runner();
    assert!(orphans.iter().all(|&pid| is_running(pid)), "killing both leaves the tasks' processes");
    stack.agent("agent-1").start();

    assert_each_went_as_it_may(&stack, &three).await;
    assert!(!orphans.iter().any(|&pid| is_running(pid)), "what the dead agent had begun was killed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_whose_runner_dies_under_it_starts_another() {
    let (mut stack, three) = three_begun(Stack::options()).await;
    let orphans: Vec<i32> = stack.effects.all().iter().map(|effect| effect.pid).collect();
    stack.agent("agent-1").kill9_runner();
    assert_each_went_as_it_may(&stack, &three).await;
    assert!(!orphans.iter().any(|&pid| is_running(pid)), "what the dead runner had begun was killed");
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

#[tokio::test(flavor = "multi_thread")]
async fn leases_of_an_agent_that_died_do_not_wait_for_a_manager_that_comes_back() {
    let mut stack = Stack::options().lease(200, 2000).agent(AgentSpec::new("agent-1")).start().await;
    let connection = Connection::connect(&stack.broker_url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let waiting = async || {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(QUEUE_LEASE.into(), options, FieldTable::default()).await.unwrap().message_count()
    };
    stack.manager.kill9();
    until("leases wait", 20, async || if waiting().await > 0 { Ok(()) } else { Err("none") }).await;
    stack.agent("agent-1").lose_host();
    until("none waits any more", 20, async || match waiting().await {
        0 => Ok(()),
        left => Err(left),
    })
    .await;
}
