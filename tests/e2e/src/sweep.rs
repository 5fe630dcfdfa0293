//! Finding processes that belong to a stack, by its folder: in their command line, environment or working directory.

use std::fs;
use std::path::{Path, PathBuf};

/// A process that belongs to a stack.
#[derive(Debug)]
pub struct Found {
    /// Its id.
    pub pid: i32,
    /// Its command line.
    pub command: String,
}

/// Whether there is such a process, and it is not merely waiting for its parent to notice its end.
#[must_use]
pub fn is_running(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}

/// Every running process but this one that names `folder`.
#[must_use]
pub fn processes_of(folder: &Path) -> Vec<Found> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let own = i32::try_from(std::process::id()).unwrap_or(-1);
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|&pid| pid != own && is_running(pid) && names(pid, folder))
        .map(|pid| Found { pid, command: command_line(pid) })
        .collect()
}

fn command_line(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim().to_owned()
}

fn names(pid: i32, folder: &Path) -> bool {
    let needle = folder.as_os_str().as_encoded_bytes();
    let holds = |file: &str| {
        let bytes = fs::read(PathBuf::from(format!("/proc/{pid}")).join(file)).unwrap_or_default();
        bytes.windows(needle.len()).any(|window| window == needle)
    };
    holds("cmdline") || holds("environ") || fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
}
