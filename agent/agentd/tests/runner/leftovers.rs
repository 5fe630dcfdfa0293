//! What tasks leave running.

use std::time::Duration;

use conductor_model::{LogStream, Outcome};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::rig::{How, NOBODY, alive, on_a_host, plugin, until};

#[test]
fn a_daemon_that_forked_twice_is_killed() {
    on_a_host(|rig| async move {
        let ended = rig.run("daemonize").await;
        assert_eq!(ended.ending.outcome, Outcome::Succeeded);
        assert_eq!(alive(&ended.task_id), NOBODY);
    });
}

#[test]
fn a_process_that_is_a_new_one_with_every_step_is_caught() {
    on_a_host(|rig| async move {
        for _ in 0..10 {
            let ended = rig.run("hop").await;
            assert_eq!(ended.ending.outcome, Outcome::Succeeded);
            // Between two steps it shows no mark: one look could miss it.
            let seen: Vec<i32> = (0..20).flat_map(|_| alive(&ended.task_id)).collect();
            assert_eq!(seen, NOBODY);
        }
    });
}

#[test]
fn a_daemon_stays_where_the_manifest_says_so() {
    on_a_host(|rig| async move {
        let ended = rig.run("leave").await;
        assert_eq!(ended.ending.outcome, Outcome::Succeeded);
        until(|| alive(&ended.task_id).len() == 1).await;
        // Other tasks come and go; it stays.
        rig.run("daemonize").await;
        let left = alive(&ended.task_id);
        assert_eq!(left.len(), 1);
        kill(Pid::from_raw(left[0]), Signal::SIGKILL).unwrap();
    });
}

#[test]
fn a_background_process_is_killed() {
    on_a_host(|rig| async move {
        let ended = rig.run("background").await;
        assert_eq!(ended.ending.outcome, Outcome::Succeeded);
        assert_eq!(alive(&ended.task_id), NOBODY);
    });
}

#[test]
fn leaked_descriptors_hold_nothing_up() {
    on_a_host(|rig| async move {
        let ended = rig.run("leak").await;
        assert_eq!(ended.ending.outcome, Outcome::Succeeded);
        assert_eq!(ended.lines(LogStream::Stdout), ["leaked"]);
        assert!(ended.took < Duration::from_secs(10), "{:?}", ended.took);
        assert_eq!(alive(&ended.task_id), NOBODY);
    });
}

#[test]
fn a_cancelled_task_leaves_nothing_even_where_it_might() {
    on_a_host(|rig| async move {
        let task = rig.begin(&plugin("misbehave"), "hang", &How::default());
        task.has_said("hanging").await;
        task.cancel();
        let ended = task.end().await;
        assert_eq!(ended.ending.outcome, Outcome::Cancelled);
        assert_eq!(alive(&ended.task_id), NOBODY);
    });
}
