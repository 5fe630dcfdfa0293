//! Processes of an earlier stack in the same folder that was killed before it could take them down.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How often and how many times is looked whether a killed process is gone: 5 s in all.
const LOOK_EVERY: Duration = Duration::from_millis(10);
const LOOKS: u32 = 500;

/// Remembers a process that was started in `file`.
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

/// Kills the process that is remembered in `file`, if it still runs and [bears](bears) `mark`.
pub(super) fn end(file: &Path, mark: &str) {
    let Some(pid) = fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()) else { return };
    if bears(pid, mark) {
        tracing::warn!(pid, "a process of an earlier stack is still there; it is ended");
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        wait_gone(pid);
    }
    forget(file);
}

/// Whether `mark` is one of the arguments or variables that the process was started with. The pid alone may by now be
/// somebody else's.
pub(super) fn bears(pid: i32, mark: &str) -> bool {
    ["cmdline", "environ"].iter().any(|name| {
        let text = fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        text.split(|byte| *byte == 0).any(|item| item == mark.as_bytes())
    })
}

/// A killed process keeps its ports and files until the kernel has taken it apart.
fn wait_gone(pid: i32) {
    for _ in 0..LOOKS {
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        if state.is_empty() || state.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')) {
            return;
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn only_the_process_that_bears_the_mark_is_ended() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("pid");
        let mut command = Command::new("sleep");
        let mut child = command.arg("600").env("MARK", "mine").stdin(Stdio::null()).spawn().unwrap();
        remember(&file, Some(child.id()));
        end(&file, "MARK=theirs");
        assert!(child.try_wait().unwrap().is_none() && !file.exists());
        remember(&file, Some(child.id()));
        end(&file, "MARK=mine");
        assert!(!child.wait().unwrap().success());
    }
}
