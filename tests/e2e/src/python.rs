//! Programs in Python that take part in stories: an unmodified Conductor SDK, a checker of the API's description.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::process::{Piece, binary};
use crate::stack::Stack;
use crate::wait::until;

/// A folder with programs of an unmodified package from PyPI, made once beside the built programs.
///
/// # Panics
/// When it cannot be made: a story that needs it cannot be told.
#[must_use]
pub fn python_environment(package: &str) -> PathBuf {
    let folder = binary("conductor-manager").with_file_name(format!("e2e-{package}"));
    let made = Command::new(Stack::repository().join("scripts/python-venv")).arg(package).arg(&folder).output();
    let made = made.expect("scripts/python-venv can be run");
    let words = String::from_utf8_lossy(&made.stderr).into_owned();
    assert!(made.status.success(), "{package} cannot be installed, and this story cannot be told without it: {words}");
    folder.join("bin")
}

/// A program with all that it forks: the whole group ends with it, however the story ends.
#[derive(Debug)]
pub struct Group {
    piece: Option<Piece>,
}

impl Group {
    /// Starts `command` in a process group of its own; what it writes is appended to `log`.
    #[must_use]
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        Self { piece: Some(Piece::start(name, command.process_group(0), log)) }
    }

    /// Waits until the program has ended; how it did, and everything that it wrote.
    ///
    /// # Panics
    /// When it goes on for longer than `seconds`.
    pub async fn wait_for_end(&mut self, what: &str, seconds: u64) -> (ExitStatus, String) {
        let piece = self.piece.as_mut().expect("a group is ended only by being dropped");
        let status =
            until(&format!("{what} has ended"), seconds, async || piece.ended().ok_or_else(|| piece.last_words())).await;
        (status, piece.log_text())
    }

    /// Everything that it wrote so far.
    #[must_use]
    pub fn log_text(&self) -> String {
        self.piece.as_ref().map(Piece::log_text).unwrap_or_default()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(piece) = self.piece.take() {
            // Its forks may outlive it; when all are gone there is nobody to be told.
            let _ = killpg(Pid::from_raw(i32::try_from(piece.pid()).unwrap_or(i32::MAX)), Signal::SIGKILL);
            piece.kill9();
        }
    }
}
