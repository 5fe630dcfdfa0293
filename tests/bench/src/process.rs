//! Processes that this program starts, and what the kernel says of them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::error::BenchError;

/// How long a program may take to end after TERM: a stack drains its agents and stops its broker.
const STOP_MAX: Duration = Duration::from_secs(40);
/// How much of a program's output an error shows.
const LOG_TAIL_LINES: usize = 30;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A program in a process group of its own, ended when this is dropped.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Program {
    /// Starts `command` with its output in `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &'static str, command: &mut Command, log: &Path) -> Result<Self, BenchError> {
        use std::os::unix::process::CommandExt;
        let file = File::create(log).map_err(BenchError::io(format!("write {}", log.display())))?;
        let copy = file.try_clone().map_err(BenchError::io("copy a descriptor"))?;
        // Its own group: Ctrl-C in the terminal reaches this program alone, which then ends the others in order.
        command.process_group(0).stdin(Stdio::null()).stdout(file).stderr(copy);
        let child = command.spawn().map_err(BenchError::io(format!("start {name}")))?;
        Ok(Self { name, child, log: log.to_owned() })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails once it has ended.
    ///
    /// # Errors
    /// With the end of its output.
    pub fn check(&mut self) -> Result<(), BenchError> {
        match self.child.try_wait().map_err(BenchError::io(format!("wait for {}", self.name)))? {
            None => Ok(()),
            Some(status) => Err(BenchError::Ended { program: self.name, status, log: self.log_tail() }),
        }
    }

    /// The end of its output.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }

    /// TERM, a time to end in, then KILL for it and its group.
    pub fn stop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX));
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let _ = kill(pid, Signal::SIGTERM);
        let end = Instant::now() + STOP_MAX;
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        eprintln!("{} does not end {} s after TERM; killing it", self.name, STOP_MAX.as_secs());
        let _ = killpg(pid, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A process below another one.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its id.
    pub pid: u32,
    /// Its name, as the kernel keeps it: at most 15 bytes.
    pub name: String,
    parent: u32,
    /// Processor time of it and of its children that ended, in µs.
    pub cpu_us: f64,
}

/// `root` and everything below it.
#[must_use]
pub fn tree(root: u32) -> Vec<Seen> {
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all: Vec<Seen> = numbers.filter_map(|entry| seen(entry.file_name().to_str()?.parse().ok()?)).collect();
    let mut found = vec![root];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(all.iter().filter(|process| process.parent == parent).map(|process| process.pid));
        at += 1;
    }
    all.into_iter().filter(|process| found.contains(&process.pid)).collect()
}

/// Ticks per second of the times in /proc; the same on every Linux that this runs on.
const TICKS_PER_S: f64 = 100.0;

fn seen(pid: u32) -> Option<Seen> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in brackets and may have anything in it; after the last bracket come numbers.
    let (front, rest) = stat.rsplit_once(')')?;
    let name = front.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    // Counted behind the name: 1 = parent, 11 to 14 = user and system time, its own and that of children it waited for.
    let ticks = number(11)? + number(12)? + number(13)? + number(14)?;
    Some(Seen { pid, name, parent: fields.get(1)?.parse().ok()?, cpu_us: ticks / TICKS_PER_S * 1e6 })
}

/// Resident memory of a process in KiB; `None` when it is gone.
#[must_use]
pub fn rss_kb(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_started_program_is_seen_and_ended() {
        let dir = tempfile::tempdir().unwrap();
        let mut program = Program::start("sleep", Command::new("sleep").arg("60"), &dir.path().join("log")).unwrap();
        let pid = program.pid();
        assert!(tree(std::process::id()).iter().any(|process| process.pid == pid));
        assert!(rss_kb(pid).is_some_and(|kb| kb > 0.0));
        program.check().unwrap();
        program.stop();
        assert!(matches!(program.check(), Err(BenchError::Ended { .. })));
        assert_eq!(rss_kb(pid), None);
    }

    #[test]
    fn the_end_of_the_output_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let mut program =
            Program::start("sh", Command::new("sh").args(["-c", "echo out; echo err >&2"]), &dir.path().join("log")).unwrap();
        let _ = program.child.wait();
        assert_eq!(program.log_tail(), "out\nerr");
    }
}
