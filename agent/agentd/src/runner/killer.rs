//! Ending processes, whatever they did to get away.
//!
//! A task's processes are found three ways: by their process group; by descent, while a parent still lives; and by the mark
//! in their environment, once they were orphaned to the agent, which is the reaper of all processes below it.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::environment::AGENT_MARK;
use crate::sys::procfs::{self, Environ, Variables};
use crate::sys::reaper::Reaper;

/// How often it is looked again whether a killed tree has left anything.
const ROUNDS_MAX: u32 = 100;
/// How long a process that is replacing its program is looked at again. A moment, unless the host is short of processors or
/// must read the program from a slow disk first.
const REPLACING_MAX: Duration = Duration::from_secs(5);
/// How long a process that has arguments and no environment is looked at again. The end of replacing looks like that, and so
/// does every process that was started without an environment, which must not hold up other tasks.
const EMPTY_MAX: Duration = Duration::from_millis(50);
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

/// Kills what a task left to the agent after its main process ended, known by a mark in its environment: whatever left the
/// group by a session of its own and was orphaned. Returns when nothing more is found.
pub async fn sweep(reaper: &Reaper, mark: &str, value: &str) {
    let mut ended = HashSet::new();
    let began = Instant::now();
    let mut rounds = 0;
    loop {
        match sweep_once(reaper, mark, value, &mut ended) {
            Swept::Nothing => return,
            Swept::Unclear { for_at_most } if began.elapsed() >= for_at_most => return,
            Swept::Unclear { .. } => {}
            Swept::Some if rounds >= ROUNDS_MAX => break,
            Swept::Some => rounds += 1,
        }
        tokio::time::sleep(ROUND).await;
        reaper.reap();
    }
    tracing::warn!(mark, value, "processes of a task could not be killed");
}

/// What a look at the orphans found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Swept {
    /// Nothing of the task.
    Nothing,
    /// A process of which it cannot be told now whose it is, or one that has ended since the last look and may have left
    /// children of its own, which were not in the list yet.
    Unclear {
        /// After that much time of looking it is left alone.
        for_at_most: Duration,
    },
    /// Something, which was killed.
    Some,
}

/// One look. `ended` are those of earlier looks that had ended.
fn sweep_once(reaper: &Reaper, mark: &str, value: &str, ended: &mut HashSet<i32>) -> Swept {
    let mut found = Swept::Nothing;
    // The youngest first: they may be on their way to the next.
    for pid in procfs::orphans().into_iter().rev() {
        if reaper.is_watched(pid) || ended.contains(&pid) {
            continue;
        }
        let one = match procfs::environ(pid) {
            Environ::Of(variables) if variables.value(mark).as_deref() == Some(value) => Swept::Some,
            Environ::Empty { has_arguments: false } => Swept::Unclear { for_at_most: REPLACING_MAX },
            Environ::Empty { has_arguments: true } => Swept::Unclear { for_at_most: EMPTY_MAX },
            Environ::Ended => {
                ended.insert(pid);
                Swept::Unclear { for_at_most: REPLACING_MAX }
            }
            Environ::Of(_) | Environ::Hidden => Swept::Nothing,
        };
        found = found.max(one);
        if one == Swept::Some {
            reaper.adopt(pid);
            for below in procfs::descendants(pid) {
                let _ = kill(Pid::from_raw(below), Signal::SIGKILL);
            }
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
    found
}

/// Kills every process of this agent whose environment has one of the marks, wherever it is. For what an earlier life of the
/// agent left. Another agent on the same host may have been given the same task since: its processes bear the mark too, and
/// are not ours.
pub async fn kill_marked(agent: &str, marks: &[(&str, Vec<String>)]) {
    let began = Instant::now();
    let mut rounds = 0;
    // Which processes of the whole host were just replacing their programs. Others come to do so all the time and are not ours.
    let mut unclear: Option<HashSet<i32>> = None;
    loop {
        let mut still_unclear = HashSet::new();
        let mut has_killed = false;
        for pid in procfs::all_pids().into_iter().filter(|pid| *pid != procfs::own_pid()) {
            match procfs::environ(pid) {
                Environ::Of(variables) if is_marked(&variables, agent, marks) => {
                    tracing::info!(pid, "killing a process that an earlier life of the agent left");
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                    has_killed = true;
                }
                Environ::Empty { has_arguments: false } if !procfs::is_of_kernel(pid) => {
                    still_unclear.insert(pid);
                }
                Environ::Of(_) | Environ::Empty { .. } | Environ::Hidden | Environ::Ended => {}
            }
        }
        if has_killed {
            // What was killed may have started something meanwhile.
            unclear = None;
            rounds += 1;
        } else {
            let known = unclear.take().unwrap_or_else(|| still_unclear.clone());
            still_unclear.retain(|pid| known.contains(pid));
            if still_unclear.is_empty() || began.elapsed() >= REPLACING_MAX {
                return;
            }
            unclear = Some(still_unclear);
        }
        if rounds >= ROUNDS_MAX {
            break;
        }
        tokio::time::sleep(ROUND * (rounds + 1).min(10)).await;
    }
    tracing::warn!("processes of an earlier life of the agent could not be killed");
}

fn is_marked(variables: &Variables, agent: &str, marks: &[(&str, Vec<String>)]) -> bool {
    variables.value(AGENT_MARK).is_some_and(|value| value == agent)
        && marks.iter().any(|(name, values)| variables.value(name).is_some_and(|value| values.contains(&value)))
}
