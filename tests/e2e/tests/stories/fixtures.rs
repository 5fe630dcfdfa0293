//! The fixture plugins of `tests/plugins`, run the whole way: from REST through RabbitMQ to a process and back.

use std::collections::BTreeSet;

use conductor_e2e::{AgentSpec, Stack, agent_task, fork, join, processes_of, step, until, workflow};
use conductor_model::{TaskStatus, WorkflowStatus};
use serde_json::{Value, json};

/// A task of another plugin than `work`, with one attempt more.
fn task_of(plugin: &str, operation: &str) -> Value {
    let name = format!("{plugin}_{operation}");
    agent_task(&name, operation, json!({"retryCount": 1, "agent": {"plugin": plugin}}))
}

async fn stack_with(plugin: &str, slots: u32) -> Stack {
    let stack = Stack::options().agent(AgentSpec::new("agent-1").slots(slots)).start().await;
    stack.upload(&Stack::repository().join("tests/plugins").join(plugin)).await;
    stack
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_of_being_bad_ends_as_it_should() {
    use TaskStatus::{Completed, Failed, FailedWithTerminalError};
    let cases: [(&str, &[TaskStatus], &str); 12] = [
        ("good", &[Completed], ""),
        ("deaf", &[Completed], ""),
        ("rubbish", &[Completed], ""),
        ("long-line", &[Completed], ""),
        ("leak", &[Completed], ""),
        ("background", &[Completed], ""),
        ("daemonize", &[Completed], ""),
        ("fail", &[Failed, Failed], "no such thing"),
        ("again", &[Failed, Failed], "75"),
        ("terminal", &[FailedWithTerminalError], "no port"),
        ("crash", &[Failed, Failed], "SIGSEGV"),
        ("forgetful", &[Failed, Failed], "it did not work"),
    ];
    let stack = stack_with("misbehave", 4).await;
    let tasks = cases.map(|(operation, ..)| task_of("misbehave", operation));
    let workflows =
        cases.map(|(operation, ..)| workflow(operation, &[step(&format!("misbehave_{operation}"), "it", json!({}))]));
    stack.define(&tasks, &workflows).await;
    let mut runs = Vec::new();
    for (operation, ..) in cases {
        runs.push(stack.run(operation, json!({})).await);
    }
    for ((operation, statuses, reason), id) in cases.into_iter().zip(runs) {
        let over = stack.wait_for_end(id, 60).await;
        assert_eq!(over.tasks.iter().map(|task| task.status).collect::<Vec<_>>(), statuses, "{operation}: {over:#?}");
        let expected = if statuses.last() == Some(&Completed) { WorkflowStatus::Completed } else { WorkflowStatus::Failed };
        assert_eq!(over.status, expected, "{operation}: {over:#?}");
        let told = over.tasks.last().and_then(|task| task.reason_for_incompletion.clone()).unwrap_or_default();
        assert!(told.contains(reason), "{operation}: {told:?}");
    }
    let agent = stack.folder().join("agent-1");
    until("no process of these tasks is left", 15, async || {
        let left: Vec<_> = processes_of(&agent).into_iter().filter(|found| found.command.contains("sleep")).collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_of_a_persistent_plugin_serves_many_tasks_and_is_replaced_when_it_dies() {
    const BRANCHES: usize = 30;
    let mut stack = stack_with("echo", 2).await;
    let references: Vec<String> = (0..BRANCHES).map(|number| format!("pid_{number}")).collect();
    let branches: Vec<_> = references.iter().map(|reference| vec![step("echo_pid", reference, json!({}))]).collect();
    let on: Vec<&str> = references.iter().map(String::as_str).collect();
    let many = workflow("many", &[fork("apart", &branches), join("together", &on)]);
    let crash = workflow("crash", &[step("echo_crash", "crash", json!({}))]);
    stack.define(&[task_of("echo", "pid"), task_of("echo", "crash")], &[many, crash]).await;

    let pids = async |stack: &Stack| {
        let id = stack.run("many", json!({})).await;
        let over = stack.wait_for_end(id, 60).await;
        assert_eq!(over.status, WorkflowStatus::Completed, "{over:#?}");
        let of_plugin = over.tasks.iter().filter(|task| task.task_type == "echo_pid");
        let pids: Vec<String> = of_plugin.map(|task| task.output_data.to_string()).collect();
        assert_eq!(pids.len(), BRANCHES);
        pids.into_iter().collect::<BTreeSet<String>>()
    };
    let first = pids(&stack).await;
    assert!(first.len() <= 2, "no more processes than slots: {first:?}");
    let id = stack.run("crash", json!({})).await;
    assert_eq!(stack.wait_for_end(id, 30).await.status, WorkflowStatus::Failed);
    let before = pids(&stack).await;
    assert!(before.len() <= 2);

    stack.agent("agent-1").kill9();
    stack.agent("agent-1").start();
    let kept = pids(&stack).await;
    assert!(!kept.is_disjoint(&before), "the runner goes on, and its processes serve the next agent: {before:?} {kept:?}");

    stack.agent("agent-1").kill9();
    stack.agent("agent-1").kill9_runner();
    stack.agent("agent-1").start();
    let first = &kept | &before;
    let last = pids(&stack).await;
    assert!(last.is_disjoint(&first), "the processes of the dead runner are not used again: {first:?} {last:?}");
    until("they are gone", 15, async || {
        let running =
            processes_of(&stack.folder().join("agent-1")).into_iter().filter(|found| found.command.contains("echo.py")).count();
        if running <= 2 { Ok(()) } else { Err(running) }
    })
    .await;
}
