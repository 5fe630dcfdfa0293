//! Ending processes, whatever they did to get away.
//!
//! A task's processes are found three ways: by their process group; by descent, while a parent still lives; and by the mark
//! in their environment, once they were orphaned to the agent, which is the reaper of all processes below it.

use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::environment::AGENT_MARK;
use crate::sys::procfs;
use crate::sys::reaper::Reaper;

/// How often it is looked again whether a killed tree has left anything.
const ROUNDS_MAX: u32 = 100;
/// How often a process that shows no environment is looked at again: it may be replacing its program.
const UNCLEAR_ROUNDS_MAX: u32 = 10;
/// Wait between two looks.
const ROUND: Duration = Duration::from_millis(2);

/// Asks the group to end.
pub fn terminate(leader: Pid) {
    // A group that is gone already is what was wanted.
    let _ = killpg(leader, Signal::SIGTERM);
}

/// Kills the process, its group and everything that descends from it.
pub fn kill_tree(leader: Pid) {
    let below = procfs::descendants(leader.as_raw());
    let _ = killpg(leader, Signal::SIGKILL);
    let _ = kill(leader, Signal::SIGKILL);
    for pid in below {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// Kills what a task left to the agent after its main process ended, known by a mark in its environment: whatever left the group by a session of its own and was
/// orphaned. Returns when nothing more is found.
pub async fn sweep(reaper: &Reaper, mark: &str, value: &str) {
    for round in 0..ROUNDS_MAX {
        match sweep_once(reaper, mark, value) {
            Swept::Nothing => return,
            Swept::Unclear if round >= UNCLEAR_ROUNDS_MAX => return,
            Swept::Unclear | Swept::Some => {}
        }
        tokio::time::sleep(ROUND).await;
        reaper.reap();
    }
    tracing::warn!(mark, value, "processes of a task could not be killed");
}

/// What a look at the orphans found.
enum Swept {
    /// Nothing of the task.
    Nothing,
    /// A process of which it cannot be told now whose it is.
    Unclear,
    /// Something, which was killed.
    Some,
}

fn sweep_once(reaper: &Reaper, mark: &str, value: &str) -> Swept {
    let mut found = Swept::Nothing;
    for pid in procfs::orphans() {
        if reaper.is_watched(pid) {
            continue;
        }
        if procfs::environ_value(pid, mark).as_deref() != Some(value) {
            if matches!(found, Swept::Nothing) && procfs::shows_no_environment(pid) {
                found = Swept::Unclear;
            }
            continue;
        }
        found = Swept::Some;
        reaper.adopt(pid);
        for below in procfs::descendants(pid) {
            let _ = kill(Pid::from_raw(below), Signal::SIGKILL);
        }
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    found
}

/// Kills every process of this agent whose environment has one of the marks, wherever it is. For what an earlier life of the
/// agent left. Another agent on the same host may have been given the same task since: its processes bear the mark too, and
/// are not ours.
pub async fn kill_marked(agent: &str, marks: &[(&str, Vec<String>)]) {
    for round in 0..ROUNDS_MAX {
        let mut found = false;
        for pid in procfs::all_pids() {
            let is_zombie = || procfs::stat(pid).is_none_or(|stat| stat.state == 'Z');
            if pid == procfs::own_pid() || !is_of(pid, agent) || !bears(pid, marks) || is_zombie() {
                continue;
            }
            found = true;
            tracing::info!(pid, "killing a process that an earlier life of the agent left");
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        if !found {
            return;
        }
        tokio::time::sleep(ROUND * (round + 1).min(10)).await;
    }
    tracing::warn!("processes of an earlier life of the agent could not be killed");
}

fn is_of(pid: i32, agent: &str) -> bool {
    procfs::environ_value(pid, AGENT_MARK).is_some_and(|value| value == agent)
}

fn bears(pid: i32, marks: &[(&str, Vec<String>)]) -> bool {
    marks.iter().any(|(name, values)| {
        !values.is_empty() && procfs::environ_value(pid, name).is_some_and(|value| values.contains(&value))
    })
}
