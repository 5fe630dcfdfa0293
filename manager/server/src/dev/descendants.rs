//! Processes below this one: reaping orphans while the stack runs, and ending what is left when it goes down.
//!
//! As "child subreaper" this process becomes the parent of whatever an agent or an operation leaves behind, so nothing
//! can slip away from it.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep};

use super::DevError;

/// Between TERM and KILL for what operations have left running.
const GRACE: Duration = Duration::from_secs(3);
/// After KILL, until the kernel has taken the process apart.
const KILL_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// One line of the process table.
#[derive(Clone, Copy, Debug)]
struct Process {
    pid: i32,
    parent: i32,
    dead: bool,
}

/// Makes this process the parent of all orphans below it.
pub(super) fn adopt_orphans() -> Result<(), DevError> {
    prctl::set_child_subreaper(true).map_err(DevError::Subreaper)
}

/// Takes the exit status of dead orphans, so that they do not fill the process table. `own` are children whose status
/// somebody else waits for.
pub(super) fn reap(own: &HashSet<i32>) {
    let me = own_pid();
    for process in table() {
        if process.dead && process.parent == me && !own.contains(&process.pid) {
            // Another thread may have been quicker, which is as good.
            let _ = waitpid(Pid::from_raw(process.pid), Some(WaitPidFlag::WNOHANG));
        }
    }
}

/// Ends every process below this one except `spared` and those below them: TERM, grace, KILL. How many there were.
pub(super) async fn end_all(spared: &HashSet<i32>) -> usize {
    let found = living(spared);
    for pid in &found {
        let _ = kill(Pid::from_raw(*pid), Signal::SIGTERM);
    }
    if !gone_within(GRACE, spared).await {
        let deadline = Instant::now() + KILL_WITHIN;
        // Again and again: what is killed may just have made another.
        while Instant::now() < deadline {
            let left = living(spared);
            if left.is_empty() {
                break;
            }
            for pid in left {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            reap(spared);
            sleep(LOOK_EVERY).await;
        }
    }
    reap(spared);
    found.len()
}

async fn gone_within(span: Duration, spared: &HashSet<i32>) -> bool {
    let deadline = Instant::now() + span;
    loop {
        reap(spared);
        if living(spared).is_empty() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        sleep(LOOK_EVERY).await;
    }
}

fn living(spared: &HashSet<i32>) -> Vec<i32> {
    let table = table();
    let parents: HashMap<i32, i32> = table.iter().map(|process| (process.pid, process.parent)).collect();
    let me = own_pid();
    table
        .iter()
        .filter(|process| !process.dead && is_below(process.pid, me, &parents, spared))
        .map(|process| process.pid)
        .collect()
}

/// Whether the way up from `pid` comes to `top` without meeting one that is spared.
fn is_below(pid: i32, top: i32, parents: &HashMap<i32, i32>, spared: &HashSet<i32>) -> bool {
    let mut at = pid;
    // The table is not taken at one moment, so it might even seem to have a circle.
    for _ in 0..parents.len() {
        if spared.contains(&at) {
            return false;
        }
        match parents.get(&at) {
            Some(parent) if *parent == top => return at != top,
            Some(parent) => at = *parent,
            None => return false,
        }
    }
    false
}

fn table() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| read(entry.file_name().to_str()?.parse().ok()?)).collect()
}

fn read(pid: i32) -> Option<Process> {
    // "PID (NAME) STATE PARENT …", where the name may hold anything, even brackets.
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = line.rsplit_once(')')?.1.split_whitespace();
    let dead = matches!(fields.next()?, "Z" | "X");
    Some(Process { pid, parent: fields.next()?.parse().ok()?, dead })
}

fn own_pid() -> i32 {
    Pid::this().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_below_and_is_not_spared_is_found() {
        let parents = HashMap::from([(10, 1), (20, 10), (21, 20), (30, 10), (31, 30), (40, 1), (50, 51), (51, 50)]);
        let below = |pid| is_below(pid, 10, &parents, &HashSet::from([30]));
        assert!(below(20) && below(21));
        for pid in [1, 10, 30, 31, 40, 50, 99] {
            assert!(!below(pid), "{pid}");
        }
    }

    #[test]
    fn this_process_is_read() {
        let me = read(own_pid()).unwrap();
        assert!(!me.dead);
        assert_eq!(me.parent, Pid::parent().as_raw());
    }
}
