//! `conductor-agent run`, to be killed and started again on the same data.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::process::{Piece, binary, wait_until_gone};
use crate::sweep::processes_of;

/// Longest wait in seconds for an agent to end when asked: it drains, and ends what still runs.
const STOP_SECONDS: u64 = 30;

/// What an agent is.
#[derive(Clone, Debug)]
pub struct AgentSpec {
    id: String,
    slots: u32,
    labels: Vec<(String, String)>,
    drain_seconds: u64,
}

impl AgentSpec {
    /// An agent with two slots and no labels.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), slots: 2, labels: Vec::new(), drain_seconds: 1 }
    }

    /// How many tasks it runs at once.
    #[must_use]
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = slots;
        self
    }

    /// A label more.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.push((key.to_owned(), value.to_owned()));
        self
    }

    /// How long it waits for its tasks when it is asked to end.
    #[must_use]
    pub fn drain_seconds(mut self, seconds: u64) -> Self {
        self.drain_seconds = seconds;
        self
    }
}

/// An agent of a stack.
#[derive(Debug)]
pub struct Agent {
    spec: AgentSpec,
    folder: PathBuf,
    manager: String,
    token: String,
    piece: Option<Piece>,
}

impl Agent {
    pub(crate) fn new(spec: AgentSpec, folder: &Path, manager: &str, token: &str) -> Self {
        let folder = folder.to_owned();
        Self { spec, folder, manager: manager.to_owned(), token: token.to_owned(), piece: None }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.spec.id
    }

    /// Where it keeps everything.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.folder.join(&self.spec.id)
    }

    /// Starts it on its old data; does not wait.
    ///
    /// # Panics
    /// When it runs already.
    pub fn start(&mut self) {
        assert!(self.piece.is_none(), "{} runs already", self.spec.id);
        let mut command = Command::new(binary("conductor-agent"));
        command.arg("run").env_clear().envs(crate::stack::base_environment());
        command.args(["--id", &self.spec.id, "--manager", &self.manager, "--slots", &self.spec.slots.to_string()]);
        for (key, value) in &self.spec.labels {
            command.args(["--label", &format!("{key}={value}")]);
        }
        command.arg("--data-dir").arg(self.data_dir());
        command.env("CONDUCTOR_TOKEN", &self.token).env("CONDUCTOR_DRAIN_SECONDS", self.spec.drain_seconds.to_string());
        let log = self.folder.join(format!("{}.log", self.spec.id));
        self.piece = Some(Piece::start(&self.spec.id, &mut command, &log));
    }

    /// kill -9 of the agent alone: its runner goes on, with the tasks.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill9(&mut self) {
        self.piece.take().expect("the agent runs").kill9();
    }

    /// kill -9 of the runner alone: what it had started is left to itself.
    ///
    /// # Panics
    /// When there is none.
    pub fn kill9_runner(&self) {
        let folder = self.data_dir();
        let own = folder.join("runner").display().to_string();
        let is_runner = |command: &str| command.contains(" runner ") && command.contains(&own);
        let found = processes_of(&folder).into_iter().find(|found| is_runner(&found.command)).expect("the runner runs");
        let _ = kill(Pid::from_raw(found.pid), Signal::SIGKILL);
        wait_until_gone(found.pid);
    }

    /// The host goes away: the agent and everything that it had started die at once.
    ///
    /// # Panics
    /// When it does not run, or something does not die.
    pub fn lose_host(&mut self) {
        self.kill9();
        for found in processes_of(&self.data_dir()) {
            // It may have died with its parent.
            let _ = kill(Pid::from_raw(found.pid), Signal::SIGKILL);
            wait_until_gone(found.pid);
        }
    }

    /// Asks it to end; fails when it does not, or badly.
    ///
    /// # Panics
    /// Then.
    pub fn stop(&mut self) {
        self.piece.take().expect("the agent runs").stop(STOP_SECONDS);
    }

    /// Asks it to end without waiting.
    pub(crate) fn ask_to_end(&self) {
        if let Some(piece) = &self.piece {
            piece.signal(Signal::SIGTERM);
        }
    }

    pub(crate) fn put_down(&mut self) {
        if let Some(mut piece) = self.piece.take()
            && piece.ended().is_none()
        {
            piece.put_down(STOP_SECONDS);
        }
    }

    /// Fails when it has ended.
    pub fn assert_running(&mut self) {
        if let Some(piece) = self.piece.as_mut() {
            piece.assert_running();
        }
    }
}
