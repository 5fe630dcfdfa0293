//! The owner's side of the helper process.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::wire::{self, Reply, Request};
use crate::{Language, Limits, ScriptError};

/// Most of a dead helper's last words that is read, in bytes.
const LAST_WORDS_BYTES_MAX: u64 = 4096;
/// Signals that say why a helper died.
const SIGXCPU: i32 = 24;

/// How the helper process is started.
#[derive(Clone, Debug)]
pub struct Launcher {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl Launcher {
    /// This program again, with arguments that make it call [`crate::worker::run`]. It is found even when its file was
    /// replaced meanwhile.
    pub fn this_program<A: Into<OsString>>(arguments: impl IntoIterator<Item = A>) -> Self {
        Self { program: PathBuf::from("/proc/self/exe"), arguments: arguments.into_iter().map(Into::into).collect() }
    }

    fn launch(&self) -> io::Result<Helper> {
        let (socket, theirs) = UnixStream::pair()?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .env_clear()
            // An allocator that reserves address space ahead would hand it to a script beyond the limit, which the kernel
            // counts by address space (https://microsoft.github.io/mimalloc/environment.html).
            .env("MIMALLOC_ARENA_RESERVE", "0")
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(Helper { child, socket })
    }
}

#[derive(Debug)]
struct Helper {
    child: Child,
    socket: UnixStream,
}

impl Helper {
    fn ask(&mut self, request: &Request, wall: Duration) -> io::Result<Option<Reply>> {
        self.socket.set_write_timeout(Some(wall))?;
        self.socket.set_read_timeout(Some(wall))?;
        wire::write(&mut self.socket, request)?;
        wire::read(&mut self.socket)
    }

    /// Ends it and says what it said at the end.
    fn end(mut self) -> (Option<ExitStatus>, String) {
        let _ = self.child.kill();
        let status = self.child.wait().ok();
        let mut words = String::new();
        if let Some(stderr) = self.child.stderr.take() {
            let _ = stderr.take(LAST_WORDS_BYTES_MAX).read_to_string(&mut words);
        }
        (status, words)
    }
}

/// Evaluates one script after the other in a helper process, which is started when it is first needed and again after one
/// that had to be ended. Blocks; meant for a thread that may.
#[derive(Debug)]
pub struct Evaluator {
    launcher: Launcher,
    limits: Limits,
    helper: Option<Helper>,
}

impl Evaluator {
    /// An evaluator without a helper yet.
    #[must_use]
    pub fn new(launcher: Launcher, limits: Limits) -> Self {
        Self { launcher, limits, helper: None }
    }

    /// Evaluates a script on an input.
    ///
    /// # Errors
    /// [`ScriptError`]: what is wrong with the script, or which limit it met.
    pub fn evaluate(&mut self, language: Language, source: &str, input: &Value) -> Result<Value, ScriptError> {
        self.ask(language, source, input, false)
    }

    /// Says whether a source can be read; runs nothing of it.
    ///
    /// # Errors
    /// [`ScriptError::Syntax`], or which limit the source met.
    pub fn check(&mut self, language: Language, source: &str) -> Result<(), ScriptError> {
        self.ask(language, source, &Value::Null, true).map(|_| ())
    }

    fn ask(&mut self, language: Language, source: &str, input: &Value, only_check: bool) -> Result<Value, ScriptError> {
        let limits = &self.limits;
        if source.len() > limits.source_bytes {
            return Err(ScriptError::SourceTooLong { bytes: source.len() as u64, limit_bytes: limits.source_bytes as u64 });
        }
        let input = serde_json::value::to_raw_value(input).map_err(|error| unavailable(&error))?;
        let mut helper = match self.helper.take() {
            Some(helper) => helper,
            None => self.launcher.launch().map_err(|error| unavailable(&error))?,
        };
        let request = Request { language, source: source.to_owned(), only_check, input, limits: limits.clone() };
        match helper.ask(&request, limits.wall) {
            Ok(Some(reply)) => {
                self.helper = Some(helper);
                reply
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                self.helper = Some(helper);
                Err(ScriptError::Failed { message: "the script's input is too large".to_owned() })
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                helper.end();
                Err(ScriptError::TimeLimit { limit_ms: u64::try_from(limits.wall.as_millis()).unwrap_or(u64::MAX) })
            }
            Ok(None) | Err(_) => {
                // It died. Give it the moment to be gone, so that the status is its own and not our kill.
                let _ = helper.child.wait();
                let (status, words) = helper.end();
                Err(cause_of_death(status, &words, limits))
            }
        }
    }
}

impl Drop for Evaluator {
    fn drop(&mut self) {
        if let Some(helper) = self.helper.take() {
            helper.end();
        }
    }
}

fn cause_of_death(status: Option<ExitStatus>, words: &str, limits: &Limits) -> ScriptError {
    if words.contains("memory allocation of") {
        return ScriptError::MemoryLimit { limit_bytes: limits.memory_bytes as u64 };
    }
    if words.contains("overflowed its stack") {
        return ScriptError::DepthLimit;
    }
    match status {
        Some(status) if status.signal() == Some(SIGXCPU) => ScriptError::TimeLimit { limit_ms: limits.cpu_ms() },
        Some(status) => unavailable(&format!("the helper process ended ({status}): {}", words.trim())),
        None => unavailable(&"the helper process was lost"),
    }
}

fn unavailable(error: &dyn std::fmt::Display) -> ScriptError {
    ScriptError::Unavailable { message: error.to_string() }
}
