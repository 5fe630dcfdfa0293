//! Processes as /proc shows them.

use std::fs;
use std::io::Read;

use nix::unistd::Pid;

/// One process, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// `R`, `S`, `Z`, …
    pub state: char,
    /// Its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// When it was started, in clock ticks since boot.
    pub start_ticks: u64,
}

/// Reads `/proc/PID/stat`; `None` when there is no such process.
#[must_use]
pub fn stat(pid: i32) -> Option<Stat> {
    // One line, well below this; read at once.
    let mut line = [0; 1024];
    let count = fs::File::open(format!("/proc/{pid}/stat")).and_then(|mut file| file.read(&mut line)).ok()?;
    let text = String::from_utf8_lossy(line.get(..count)?);
    // The second field is the program's name in parentheses and may have anything in it.
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    // Field 22 of the line is field 19 behind the name; three are taken.
    let start_ticks = fields.nth(16)?.parse().ok()?;
    Some(Stat { state, parent, group, start_ticks })
}

/// What can be said of a process's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Environ {
    /// These variables it was started with.
    Of(Variables),
    /// None at all. So it is for a moment while a process replaces its program; then it has no arguments either.
    Empty {
        /// Whether it has arguments.
        has_arguments: bool,
    },
    /// It has ended, or there is none.
    Ended,
    /// It lives, and this process may not look: it runs as another user.
    Hidden,
}

/// The variables of an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variables(Vec<u8>);

impl Variables {
    /// The value of a variable; `None` where it is not set or is no text.
    #[must_use]
    pub fn value(&self, variable: &str) -> Option<String> {
        self.0.split(|byte| *byte == 0).find_map(|entry| {
            let value = entry.strip_prefix(variable.as_bytes())?.strip_prefix(b"=")?;
            String::from_utf8(value.to_vec()).ok()
        })
    }
}

/// The environment of a process at its start.
#[must_use]
pub fn environ(pid: i32) -> Environ {
    let has_ended = || stat(pid).is_none_or(|stat| matches!(stat.state, 'Z' | 'X'));
    match fs::read(format!("/proc/{pid}/environ")) {
        Ok(bytes) if !bytes.is_empty() => Environ::Of(Variables(bytes)),
        _ if has_ended() => Environ::Ended,
        Err(_) => Environ::Hidden,
        Ok(_) => {
            let arguments = fs::read(format!("/proc/{pid}/cmdline"));
            Environ::Empty { has_arguments: arguments.is_ok_and(|bytes| !bytes.is_empty()) }
        }
    }
}

/// The value of a variable in a process's environment at its start; `None` where it cannot be read or is not set.
#[must_use]
pub fn environ_value(pid: i32, variable: &str) -> Option<String> {
    match environ(pid) {
        Environ::Of(variables) => variables.value(variable),
        Environ::Empty { .. } | Environ::Ended | Environ::Hidden => None,
    }
}

/// Whether it is a thread of the kernel's, which has neither program nor variables.
#[must_use]
pub fn is_of_kernel(pid: i32) -> bool {
    // All of them descend from process 2; in a container its number can belong to anything, and then it has a program.
    let is_keeper = |pid: i32| pid == 2 && fs::read_link("/proc/2/exe").is_err();
    is_keeper(pid) || stat(pid).is_some_and(|stat| is_keeper(stat.parent))
}

/// All process ids.
#[must_use]
pub fn all_pids() -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The children of a process, whichever of its threads they belong to.
#[must_use]
pub fn children(pid: i32) -> Vec<i32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let mut children = Vec::new();
    for thread in threads.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(text) => children.extend(text.split_ascii_whitespace().filter_map(|child| child.parse::<i32>().ok())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && thread.path().exists() => {
                // A kernel without this file: look at everybody's parent.
                return all_pids().into_iter().filter(|other| stat(*other).is_some_and(|stat| stat.parent == pid)).collect();
            }
            Err(_) => {}
        }
    }
    children
}

/// Processes that were orphaned to this process, and those that its first thread started: the kernel gives orphans to the
/// first thread of a reaper. One small file to read instead of one for each thread.
#[must_use]
pub fn orphans() -> Vec<i32> {
    let own = own_pid();
    match fs::read_to_string(format!("/proc/{own}/task/{own}/children")) {
        Ok(text) => text.split_ascii_whitespace().filter_map(|child| child.parse().ok()).collect(),
        Err(_) => children(own),
    }
}

/// A process's children, their children and so on.
#[must_use]
pub fn descendants(pid: i32) -> Vec<i32> {
    let mut found = children(pid);
    let mut at = 0;
    while let Some(next) = found.get(at).copied() {
        found.extend(children(next));
        at += 1;
    }
    found
}

/// This process.
#[must_use]
pub fn own_pid() -> i32 {
    Pid::this().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen() {
        let own = stat(own_pid()).unwrap();
        assert!(own.start_ticks > 0);
        assert_eq!(own.group, nix::unistd::getpgrp().as_raw());
        assert!(all_pids().contains(&own_pid()));
        assert_eq!(stat(0), None);
    }

    #[test]
    fn a_child_and_its_child_are_seen() {
        let mut child = std::process::Command::new("/bin/sh")
            .args(["-c", "sleep 60 & echo up; wait"])
            .env("MARK", "x=y")
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let below = descendants(pid);
        assert_eq!(below.len(), 1);
        // Between its fork and its new program a process shows no environment.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while environ_value(below[0], "MARK").is_none() && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(environ_value(below[0], "MARK").as_deref(), Some("x=y"));
        assert!(children(own_pid()).contains(&pid));
        for pid in [below[0], pid] {
            nix::sys::signal::kill(Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
        }
        child.wait().unwrap();
    }
}
