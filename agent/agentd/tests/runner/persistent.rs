//! Persistent plugins.

use std::time::Duration;

use conductor_agent::sys::procfs;
use conductor_model::{LogStream, Outcome};
use serde_json::json;

use crate::rig::{How, Rig, on_a_host, plugin, until};

async fn pid(rig: &std::rc::Rc<Rig>) -> i32 {
    let ended = rig.run_how(&plugin("echo"), "pid", How::default()).await;
    i32::try_from(ended.output["pid"].as_i64().unwrap()).unwrap()
}

fn is_gone(pid: i32) -> bool {
    procfs::stat(pid).is_none_or(|stat| stat.state == 'Z')
}

#[test]
fn one_process_serves_many_tasks() {
    on_a_host(|rig| async move {
        let first = pid(&rig).await;
        for number in 0..50 {
            let how = How { input: json!({ "number": number }), ..How::default() };
            let ended = rig.run_how(&plugin("echo"), "echo", how).await;
            assert_eq!(ended.ending.outcome, Outcome::Succeeded);
            assert_eq!(json!(ended.output), json!({ "number": number }));
        }
        assert_eq!(pid(&rig).await, first);
        rig.host.pools.close();
        until(|| is_gone(first)).await;
    });
}

#[test]
fn what_it_says_belongs_to_the_task_that_it_has() {
    on_a_host(|rig| async move {
        let ended = rig.run_how(&plugin("echo"), "chatty", How::default()).await;
        assert_eq!(ended.lines(LogStream::Stdout), ["on stdout"]);
        assert_eq!(ended.lines(LogStream::Stderr), ["on stderr"]);
        assert_eq!(ended.lines(LogStream::Event), ["on the event channel"]);
        rig.host.pools.close();
    });
}

#[test]
fn tasks_at_the_same_time_have_processes_of_their_own() {
    on_a_host(|rig| async move {
        let tasks: Vec<_> = (0..3).map(|_| rig.begin(&plugin("echo"), "pid", &How::default())).collect();
        let mut pids = Vec::new();
        for task in tasks {
            pids.push(task.end().await.output["pid"].as_i64().unwrap());
        }
        pids.sort_unstable();
        pids.dedup();
        assert_eq!(pids.len(), 3);
        rig.host.pools.close();
    });
}

#[test]
fn a_crash_fails_the_task_and_the_next_has_a_new_process() {
    on_a_host(|rig| async move {
        let first = pid(&rig).await;
        let ended = rig.run_how(&plugin("echo"), "crash", How::default()).await;
        assert_eq!(ended.ending.outcome, Outcome::Failed);
        assert_eq!(ended.reason(), "the plugin's process exited with code 9 while it had the task: about to crash");
        assert_ne!(pid(&rig).await, first);
        rig.host.pools.close();
    });
}

#[test]
fn errors_are_told_and_the_process_goes_on() {
    on_a_host(|rig| async move {
        let first = pid(&rig).await;
        for (retryable, outcome) in [(true, Outcome::Failed), (false, Outcome::FailedTerminally)] {
            let how = How { input: json!({ "retryable": retryable }), ..How::default() };
            let ended = rig.run_how(&plugin("echo"), "fail", how).await;
            assert_eq!(ended.ending.outcome, outcome);
            assert!(ended.reason().starts_with("asked to fail"), "{}", ended.reason());
        }
        assert_eq!(pid(&rig).await, first);
        rig.host.pools.close();
    });
}

#[test]
fn a_task_that_hangs_or_is_cancelled_takes_its_process_with_it() {
    on_a_host(|rig| async move {
        let first = pid(&rig).await;
        let how = How { timeout: Some(Duration::from_millis(300)), ..How::default() };
        let ended = rig.run_how(&plugin("echo"), "hang", how).await;
        assert_eq!(ended.ending.outcome, Outcome::TimedOut);
        assert!(is_gone(first));
        let task = rig.begin(&plugin("echo"), "hang", &How::default());
        until(|| *task.ears.begun.borrow()).await;
        let second = rig.host.reaper.watched()[0].as_raw();
        task.cancel();
        assert_eq!(task.end().await.ending.outcome, Outcome::Cancelled);
        assert!(is_gone(second));
        rig.host.pools.close();
    });
}

#[test]
fn done_with_another_task_counts_for_nothing() {
    on_a_host(|rig| async move {
        let ended = rig.run_how(&plugin("echo"), "wrong-task", How::default()).await;
        assert_eq!(ended.ending.outcome, Outcome::Succeeded);
        assert!(ended.lines(LogStream::Event)[0].contains("somebody-else"));
        rig.host.pools.close();
    });
}

#[test]
fn tasks_with_limits_have_a_process_that_lives_under_them() {
    on_a_host(|rig| async move {
        let free = pid(&rig).await;
        let memory = Some(conductor_model::size::ByteSize(512 << 20));
        let limits = conductor_model::ResourceLimits { memory, ..Default::default() };
        let limited = async || {
            let how = How { limits: limits.clone(), ..How::default() };
            let ended = rig.run_how(&plugin("echo"), "pid", how).await;
            assert_eq!(ended.ending.outcome, Outcome::Succeeded, "{}", ended.reason());
            ended.output["pid"].as_i64().unwrap()
        };
        let first = limited().await;
        let held_to = std::fs::read_to_string(format!("/proc/{first}/limits")).unwrap();
        assert!(held_to.lines().any(|line| line.starts_with("Max address space") && line.contains("536870912")), "{held_to}");
        assert_eq!(limited().await, first);
        assert_eq!(pid(&rig).await, free, "tasks without limits keep their own process");
        rig.host.pools.close();
    });
}
