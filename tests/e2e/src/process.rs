//! One process of a stack: started with its output in a file, ended by its pid.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::until_blocking;

/// Longest wait in seconds for a killed process to be gone.
const GONE_SECONDS: u64 = 30;
/// How much of a log is shown when something fails, in bytes.
const SHOWN_BYTES: usize = 3000;

/// Names a folder with programs to be tested in place of those that cargo built beside the tests.
const BIN_DIR: &str = "E2E_BIN_DIR";

/// A program of this workspace, as cargo built it beside the tests.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a process knows its own program");
    let chosen = std::env::var_os(BIN_DIR).map(PathBuf::from);
    let folders = chosen.into_iter().chain(own.ancestors().skip(1).take(2).map(Path::to_owned));
    let found = folders.map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{name} is not built: run `make build`, or `cargo build --bins`, before these tests"))
}

/// A running process and its log.
#[derive(Debug)]
pub struct Piece {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Piece {
    /// Starts `command`; what it writes is appended to `log`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(log).expect("a log file can be made");
        let errors = file.try_clone().expect("a file can be opened twice");
        let child = command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn();
        let child = child.unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        Self { name: name.to_owned(), child, log: log.to_owned() }
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The end of its log.
    #[must_use]
    pub fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let from = text.len().saturating_sub(SHOWN_BYTES);
        String::from_utf8_lossy(text.get(from..).unwrap_or_default()).into_owned()
    }

    /// Everything in its log.
    #[must_use]
    pub fn log_text(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Fails when it has ended.
    ///
    /// # Panics
    /// When it has ended.
    pub fn assert_running(&mut self) {
        if let Some(status) = self.ended() {
            panic!("{} ended with {status}:\n{}", self.name, self.last_words());
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.pid()) {
            // It may be gone already; then there is nobody to be told.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// kill -9, and waits until it is gone.
    pub fn kill9(mut self) {
        self.signal(Signal::SIGKILL);
        drop(self.child.wait());
    }

    /// Asks it to end and waits until it has, at most `seconds`.
    ///
    /// # Panics
    /// When it does not end, or ends badly.
    pub fn stop(mut self, seconds: u64) {
        self.signal(Signal::SIGTERM);
        let status = self.wait_at_most(seconds);
        let Some(status) = status else {
            self.signal(Signal::SIGKILL);
            drop(self.child.wait());
            panic!("{} did not end within {seconds} s of SIGTERM:\n{}", self.name, self.last_words());
        };
        assert!(status.success(), "{} ended with {status} after SIGTERM:\n{}", self.name, self.last_words());
    }

    /// Asks it to end; kills it when it has not within `seconds`. For the end of a story.
    pub fn put_down(mut self, seconds: u64) {
        self.signal(Signal::SIGTERM);
        if self.wait_at_most(seconds).is_none() {
            eprintln!("{} did not end within {seconds} s of SIGTERM and is killed", self.name);
            self.kill9();
        }
    }

    fn wait_at_most(&mut self, seconds: u64) -> Option<ExitStatus> {
        let deadline = crate::Deadline::in_seconds(seconds);
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if deadline.is_over() {
                return None;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_for_end(&mut self, seconds: u64) -> ExitStatus {
        match self.wait_at_most(seconds) {
            Some(status) => status,
            None => panic!("{} did not end within {seconds} s:\n{}", self.name, self.last_words()),
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.signal(Signal::SIGKILL);
            drop(self.child.wait());
        }
    }
}

/// Waits until there is no process `pid`.
///
/// # Panics
/// When there still is.
pub(crate) fn wait_until_gone(pid: i32) {
    until_blocking("a killed process is gone", GONE_SECONDS, || if crate::is_running(pid) { Err(pid) } else { Ok(()) });
}
