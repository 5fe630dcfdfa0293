//! Processes of an earlier start in the same folder that was killed before it could take them down.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::files::Layout;

/// Where the pid of each process is kept, and what its command line must contain to be the one that was started here.
pub(super) const NODE_PID: &str = "node.pid";
pub(super) const EPMD_PID: &str = "epmd.pid";

/// Kills a node and its epmd that still run from an earlier start.
pub(super) fn end(layout: &Layout, node_name: &str) {
    end_one(&layout.path(NODE_PID), node_name);
    end_one(&layout.path(EPMD_PID), "epmd");
}

/// Remembers a process that was started.
pub(super) fn remember(file: &Path, pid: Option<u32>) {
    if let Some(pid) = pid
        && let Err(error) = fs::write(file, pid.to_string())
    {
        tracing::warn!(file = %file.display(), %error, "a pid could not be written; after a crash its process must be ended by hand");
    }
}

/// Forgets it.
pub(super) fn forget(file: &Path) {
    // Not there = forgotten already.
    let _ = fs::remove_file(file);
}

fn end_one(file: &Path, mark: &str) {
    let Some(pid) = fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<i32>().ok()) else { return };
    let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    if String::from_utf8_lossy(&command).contains(mark) {
        tracing::warn!(pid, "a broker process of an earlier start is still there; it is ended");
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        wait_gone(pid);
    }
    forget(file);
}

/// A killed process keeps its ports and files until the kernel has taken it apart.
fn wait_gone(pid: i32) {
    const LOOKS: u32 = 200;
    for _ in 0..LOOKS {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if state.is_empty() || state.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
