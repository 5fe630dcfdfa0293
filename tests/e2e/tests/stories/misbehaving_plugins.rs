//! Plugins that hang, ignore signals, flood, leave daemons behind and talk rubbish.

use std::fs;

use conductor_e2e::{AgentSpec, Stack, agent_task, is_running, pack_files, step, until, workflow};
use conductor_model::{TaskStatus, WorkflowId, WorkflowStatus};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

const MANIFEST: &str = "\
name: rude
version: 1.0.0
entrypoint: rude.sh
operations:
  hang: {}
  deaf: {}
  flood: {}
  daemon: {}
  service: {leaves_processes: true}
  rubbish: {}
";

/// Each operation writes the pid that matters into a file of its name.
const PROGRAM: &str = r#"#!/bin/sh
read -r task
pid_of() { echo "$2" > '@PIDS@'"/$1.new"; mv '@PIDS@'"/$1.new" '@PIDS@'"/$1"; }
leave() {
  setsid sh -c 'exec sleep 1000' < /dev/null > /dev/null 2>&1 3>&- &
  pid_of "$1" $!
}
case "$1" in
  hang) pid_of hang $$; exec sleep 1000 ;;
  deaf) trap '' TERM INT HUP; pid_of deaf $$; while :; do sleep 1000; done ;;
  flood) yes "a line of a flood, as long as lines of logs are, and then somewhat longer than that" | head -c 20000000; pid_of flood $$ ;;
  daemon) leave daemon ;;
  service) leave service ;;
  rubbish) printf 'this is no JSON\n{"type":"unheard of"}\n{"type":"output","values":{"kept":true}}\n\377\376\n' >&3 ;;
esac
"#;

async fn rude_stack(options: conductor_e2e::StackOptions) -> Stack {
    let stack = options.agent(AgentSpec::new("agent-1").slots(4)).start().await;
    let pids = stack.folder().join("pids");
    fs::create_dir_all(&pids).unwrap();
    let program = PROGRAM.replace("@PIDS@", &pids.display().to_string());
    let archive = pack_files(&[("plugin.yaml", MANIFEST, false), ("rude.sh", &program, true)]);
    stack.client().upload_plugin(archive, "application/gzip").await.unwrap();
    let rude = |operation: &str, more: Value| {
        let mut task = agent_task(operation, operation, more);
        task["agent"]["plugin"] = json!("rude");
        task
    };
    let limited = json!({"timeoutSeconds": 2, "responseTimeoutSeconds": 2, "timeoutPolicy": "TIME_OUT_WF"});
    let tasks = [
        rude("hang", limited.clone()),
        rude("deaf", limited),
        rude("flood", json!({})),
        rude("daemon", json!({})),
        rude("service", json!({})),
        rude("rubbish", json!({})),
        agent_task("quick", "quick", json!({})),
    ];
    let names = ["hang", "deaf", "flood", "daemon", "service", "rubbish", "quick"];
    stack.define(&tasks, &names.map(|name| workflow(name, &[step(name, name, json!({}))]))).await;
    stack
}

/// The process that an operation wrote down.
async fn pid_of(stack: &Stack, operation: &str) -> i32 {
    let path = stack.folder().join("pids").join(operation);
    until(&format!("{operation} runs"), 30, async || {
        fs::read_to_string(&path).map_err(|error| error.to_string())?.trim().parse::<i32>().map_err(|error| error.to_string())
    })
    .await
}

async fn gone(pid: i32, seconds: u64) {
    until(&format!("process {pid} is gone"), seconds, async || if is_running(pid) { Err(pid) } else { Ok(()) }).await;
}

async fn completed(stack: &Stack, id: WorkflowId) -> conductor_client::WorkflowView {
    let over = stack.wait_for_end(id, 60).await;
    assert_eq!(over.status, WorkflowStatus::Completed, "{over:#?}");
    over
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_too_long_is_ended_whether_it_heeds_signals_or_not() {
    let stack = rude_stack(Stack::options()).await;
    let runs = [stack.run("hang", json!({})).await, stack.run("deaf", json!({})).await];
    let pids = [pid_of(&stack, "hang").await, pid_of(&stack, "deaf").await];
    for id in runs {
        let over = stack.wait_for_end(id, 30).await;
        assert_eq!(over.status, WorkflowStatus::TimedOut, "{over:#?}");
        assert_eq!(over.tasks[0].status, TaskStatus::TimedOut, "{over:#?}");
        assert!(over.tasks[0].reason_for_incompletion.is_some(), "{over:#?}");
    }
    for pid in pids {
        gone(pid, 30).await;
    }
    // The slots are free again.
    for _ in 0..4 {
        let quick = stack.run("quick", json!({})).await;
        completed(&stack, quick).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_keeps_time_while_the_manager_is_dead() {
    let mut stack = rude_stack(Stack::options()).await;
    let id = stack.run("hang", json!({})).await;
    let pid = pid_of(&stack, "hang").await;
    stack.manager.kill9();
    gone(pid, 30).await;
    stack.manager.start().await;
    assert_eq!(stack.wait_for_end(id, 30).await.status, WorkflowStatus::TimedOut);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_and_rubbish_cost_no_more_than_their_limits() {
    let stack = rude_stack(Stack::options()).await;
    let (flood, rubbish) = (stack.run("flood", json!({})).await, stack.run("rubbish", json!({})).await);
    let quick = stack.run("quick", json!({})).await;
    completed(&stack, quick).await;
    let over = completed(&stack, rubbish).await;
    assert_eq!(over.tasks[0].output_data["kept"], true, "what was right between the rubbish counts");
    let client = stack.client();
    let noted = until("the rubbish is in the log, behind the flood", 90, async || {
        let page = client.task_logs(&over.tasks[0].task_id.to_string(), 0, 100).await.map_err(|error| error.to_string())?;
        if page.lines.iter().any(|line| line.text.contains("this is no JSON")) {
            Ok(page.lines)
        } else {
            Err(format!("{page:?}"))
        }
    })
    .await;
    assert!(noted.len() < 10, "{noted:?}");

    let over = completed(&stack, flood).await;
    let task = over.tasks[0].task_id.to_string();
    let (mut after, mut bytes, mut last) = (0, 0, String::new());
    let ended = until("the flood's log is there to its end", 90, async || {
        let page = client.task_logs(&task, after, 5000).await.map_err(|error| error.to_string())?;
        bytes += page.lines.iter().map(|line| line.text.len()).sum::<usize>();
        after = page.next_after;
        if let Some(line) = page.lines.last() {
            last.clone_from(&line.text);
        }
        if last.starts_with("a line of a flood") || last.is_empty() {
            Err(format!("{bytes} bytes up to line {after}"))
        } else {
            Ok(last.clone())
        }
    })
    .await;
    assert!(ended.contains("log") || ended.contains("dropped"), "the end says that more was dropped: {ended:?}");
    assert!(bytes <= 17 * 1024 * 1024, "{bytes} bytes were kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_is_killed_with_its_task_and_a_declared_service_outlives_its_agent() {
    let mut stack = rude_stack(Stack::options()).await;
    let (daemon, service) = (stack.run("daemon", json!({})).await, stack.run("service", json!({})).await);
    completed(&stack, daemon).await;
    completed(&stack, service).await;
    gone(pid_of(&stack, "daemon").await, 15).await;
    let service = pid_of(&stack, "service").await;
    assert!(is_running(service), "an operation may leave behind what its manifest declares");

    stack.agent("agent-1").stop();
    assert!(is_running(service), "it survives the agent's end");
    stack.agent("agent-1").start();
    let quick = stack.run("quick", json!({})).await;
    completed(&stack, quick).await;
    stack.agent("agent-1").kill9();
    stack.agent("agent-1").start();
    let quick = stack.run("quick", json!({})).await;
    completed(&stack, quick).await;
    assert!(is_running(service), "it survives a kill and the start after it");

    kill(Pid::from_raw(service), Signal::SIGKILL).unwrap();
    gone(service, 10).await;
}
