//! The runner: connecting to it, starting it where it is the agent's own, and heeding what it says.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use conductor_agent_core::{Input, TaskKey};
use conductor_model::AgentId;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::host::RUNNER_PATIENCE;
use super::{After, Daemon, answers};
use crate::link::outbox::LogBatch;
use crate::runner_link::frames::{Incoming, Outgoing, append};
use crate::runner_link::message::{
    AgentGreeting, FromRunner, LeftOver, RUNNER_PROTOCOL, RunnerGreeting, Taken, ToRunner, TransferGreeting,
};
use crate::settings::RunnerSettings;

/// Wait between two attempts to connect; the first ones come quickly, for a runner that is just being started.
const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// Longest wait for the runner's greeting. It comes once the runner has heeded all that an earlier connection had written.
const GREETING_WAIT: Duration = Duration::from_secs(30);
/// Longest path that a socket's address can hold, with its end.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Variables of the agent that are none of the runner's business.
const SECRET_VARIABLES: &[&str] = &["CONDUCTOR_TOKEN"];

/// A runner that the agent starts itself.
#[derive(Debug)]
pub(super) struct Own {
    data: PathBuf,
    policy_file: PathBuf,
    child: RefCell<Option<Child>>,
}

/// The runner, as the agent sees it.
#[derive(Debug)]
pub(super) struct Runner {
    agent: AgentId,
    /// Whose process it is to be; empty = the agent's own user.
    user: String,
    socket: PathBuf,
    own: Option<Own>,
    /// Where the life is kept that the last orders went to.
    life_file: PathBuf,
    life: RefCell<String>,
    outgoing: RefCell<Option<Rc<Outgoing>>>,
    /// The process that listens, for ending it at once.
    pid: Cell<Option<i32>>,
    /// Whether it was told to end.
    ending: Cell<bool>,
    /// Woken when the last connection has ended for good.
    gone: Notify,
}

/// A connection that has begun.
#[derive(Debug)]
pub(super) struct Connected {
    incoming: Incoming,
    outgoing: Rc<Outgoing>,
    pub greeting: RunnerGreeting,
}

impl Runner {
    /// The runner that the settings name, or one of the agent's own below `data`.
    pub(super) fn new(agent: AgentId, settings: &RunnerSettings, data: &Path, policy_file: &Path) -> Self {
        let folder = data.join("runner");
        let life_file = data.join("runner.life");
        let life = std::fs::read_to_string(&life_file).unwrap_or_default();
        let own = || Own { data: folder.clone(), policy_file: policy_file.to_owned(), child: RefCell::default() };
        let (socket, own) = match settings.effective_socket() {
            Some(socket) => (socket, None),
            None => (own_socket(&folder), Some(own())),
        };
        let (life, outgoing) = (RefCell::new(life), RefCell::default());
        Self {
            agent,
            user: settings.user.clone(),
            socket,
            own,
            life_file,
            life,
            outgoing,
            pid: Cell::new(None),
            ending: Cell::new(false),
            gone: Notify::new(),
        }
    }

    /// Whether it is the agent's own, and ends with it.
    pub(super) fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Whether there is a connection.
    pub(super) fn is_connected(&self) -> bool {
        self.outgoing.borrow().is_some()
    }

    /// Says something; without a connection it goes nowhere, and is made up for when there is one.
    pub(super) fn send(&self, message: &ToRunner) {
        if let Some(outgoing) = &*self.outgoing.borrow() {
            outgoing.send(message);
        }
    }

    /// Whether the runner of the last orders is the one that is greeted now. From now on it is.
    pub(super) fn is_same_life(&self, greeting: &RunnerGreeting) -> bool {
        self.life.replace(greeting.life.clone()) == greeting.life
    }

    /// Notes it for the agent's next life.
    pub(super) fn remember_life(&self, life: &str) {
        let beside = self.life_file.with_extension("new");
        let written = std::fs::write(&beside, life).and_then(|()| std::fs::rename(&beside, &self.life_file));
        if let Err(error) = written {
            tracing::warn!(%error, "it cannot be noted which runner has the tasks; after a crash some may count as lost");
        }
    }

    /// Connects, as often as it takes, starting the runner where it is the agent's own.
    pub(super) async fn connect(&self) -> Connected {
        let mut wait = RETRY_FIRST;
        loop {
            match self.try_connect().await {
                Ok(connected) => return connected,
                Err(error) if wait < RETRY_MAX => tracing::debug!(%error, "no runner yet"),
                Err(error) => {
                    let socket = self.socket.display();
                    tracing::warn!(%socket, %error, "the runner is not to be reached; tasks wait for it");
                }
            }
            self.start_own();
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    /// A connection to the runner and its process.
    async fn dial(&self) -> io::Result<(UnixStream, Option<i32>)> {
        let stream = UnixStream::connect(&self.socket).await?;
        let peer = stream.peer_cred()?;
        // Somebody else's socket may lie where the runner's should.
        if peer.uid() != 0 && peer.uid() != self.expected_uid()? {
            return Err(io::Error::other(format!("a process of user {} listens there", peer.uid())));
        }
        Ok((stream, peer.pid()))
    }

    /// A connection for the bytes of the file that a question is about.
    pub(super) async fn transfer(&self, ask: u64) -> io::Result<(Incoming, OwnedWriteHalf)> {
        let (stream, _) = self.dial().await?;
        let (read, mut write) = stream.into_split();
        let mut frame = Vec::new();
        append(&mut frame, &ToRunner::Transfer(TransferGreeting { agent: self.agent.clone(), ask }))?;
        write.write_all(&frame).await?;
        Ok((Incoming::new(read), write))
    }

    async fn try_connect(&self) -> io::Result<Connected> {
        let (stream, pid) = self.dial().await?;
        self.pid.set(pid);
        let (read, write) = stream.into_split();
        let mut incoming = Incoming::new(read);
        let outgoing = Rc::new(Outgoing::default());
        let writing = outgoing.clone();
        tokio::task::spawn_local(async move {
            // The connection's end shows where it is read.
            let _ = writing.pump(write).await;
            writing.close();
        });
        outgoing.send(&ToRunner::Hello(AgentGreeting { protocol: RUNNER_PROTOCOL, agent: self.agent.clone() }));
        match timeout(GREETING_WAIT, incoming.next()).await {
            Ok(Ok(Some(FromRunner::Hello(greeting)))) if greeting.protocol == RUNNER_PROTOCOL => {
                Ok(Connected { incoming, outgoing, greeting })
            }
            Ok(Ok(Some(FromRunner::Hello(greeting)))) => Err(io::Error::other(format!(
                "it is of version {} and speaks protocol {}, this agent {RUNNER_PROTOCOL}; restart it when its tasks are over",
                greeting.version, greeting.protocol
            ))),
            Ok(Ok(_)) => Err(io::Error::other("it did not say who it is")),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::Error::other(format!("it did not answer within {} s", GREETING_WAIT.as_secs()))),
        }
    }

    /// The user that listens, looked up each time: it may be made while the agent waits.
    fn expected_uid(&self) -> io::Result<u32> {
        if self.user.is_empty() {
            return Ok(nix::unistd::geteuid().as_raw());
        }
        match nix::unistd::User::from_name(&self.user)? {
            Some(user) => Ok(user.uid.as_raw()),
            None => Err(io::Error::other(format!("there is no user {:?} (runner.user) on this host", self.user))),
        }
    }

    /// Starts the agent's own runner, unless the one that was started last still lives.
    fn start_own(&self) {
        let Some(own) = &self.own else { return };
        let mut child = own.child.borrow_mut();
        if child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None))) {
            return;
        }
        let started = std::env::current_exe().and_then(|program| {
            let mut command = Command::new(program);
            command.arg("runner").arg("--detach").arg("--socket").arg(&self.socket).arg("--data-dir").arg(&own.data);
            command.arg("--policy").arg(&own.policy_file);
            command.stdin(Stdio::null());
            for name in SECRET_VARIABLES {
                command.env_remove(name);
            }
            command.spawn()
        });
        match started {
            Ok(started) => *child = Some(started),
            Err(error) => tracing::error!(%error, "the runner cannot be started"),
        }
    }

    /// Ends the agent's own runner after everything else, and waits for it.
    pub(super) async fn end(&self, patience: Duration) {
        let gone = self.gone.notified();
        self.ending.set(true);
        self.send(&ToRunner::End);
        if self.outgoing.borrow().is_some() && timeout(patience, gone).await.is_err() {
            tracing::warn!("the runner does not end; it is killed");
            self.kill();
        }
        if let Some(child) = self.own.as_ref().and_then(|own| own.child.borrow_mut().take()) {
            wait_for(child, patience).await;
        }
    }

    /// Kills the agent's own runner with everything that it runs.
    pub(super) fn kill(&self) {
        if let (true, Some(pid)) = (self.is_own(), self.pid.get()) {
            crate::runner::killer::kill_tree(nix::unistd::Pid::from_raw(pid));
        }
    }
}

async fn wait_for(mut child: Child, patience: Duration) {
    let deadline = tokio::time::Instant::now() + patience;
    while matches!(child.try_wait(), Ok(None)) && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(RETRY_FIRST).await;
    }
}

/// Where the agent's own runner listens: in its folder, or in the system's folder for temporary files where that path is too
/// long.
fn own_socket(folder: &Path) -> PathBuf {
    let path = folder.join("runner.sock");
    if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return path;
    }
    let digest = hex::encode(Sha256::digest(path.as_os_str().as_encoded_bytes()));
    std::env::temp_dir().join(format!("conductor-runner-{}.sock", &digest[..32]))
}

impl Daemon {
    /// Heeds the runner until it is gone for good, connecting again whenever the connection ends.
    pub(super) async fn keep_runner(self: Rc<Self>, first: Connected) {
        let mut next = Some(first);
        while let Some(connected) = next.take() {
            let Connected { mut incoming, outgoing, greeting: _ } = connected;
            loop {
                match incoming.next::<FromRunner>().await {
                    Ok(Some(message)) => self.runner_said(message, &outgoing),
                    Ok(None) => break,
                    Err(error) => {
                        tracing::error!(%error, "the connection to the runner broke");
                        break;
                    }
                }
            }
            outgoing.close();
            *self.runner.outgoing.borrow_mut() = None;
            self.outbox.forget_lines();
            if !self.runner.ending.get() {
                tracing::warn!("the connection to the runner has ended");
                let connected = match timeout(RUNNER_PATIENCE, self.runner.connect()).await {
                    Ok(connected) => connected,
                    Err(_) => {
                        self.runner_away(true);
                        self.runner.connect().await
                    }
                };
                self.meet_again(&connected);
                self.runner_away(false);
                next = Some(connected);
            }
        }
        self.runner.gone.notify_waiters();
    }

    /// From now on what is said goes there.
    pub(super) fn speak_to(&self, connected: &Connected) {
        *self.runner.outgoing.borrow_mut() = Some(connected.outgoing.clone());
    }

    /// The connection was made anew: what went astray is said again, and what went with another life of the runner is lost.
    fn meet_again(self: &Rc<Self>, connected: &Connected) {
        let greeting = &connected.greeting;
        let is_same_life = self.runner.is_same_life(greeting);
        self.speak_to(connected);
        let mut abandoned = self.abandoned.borrow_mut();
        for handle in self.running.borrow().values() {
            let is_lost = handle.was_sent.get() && !is_same_life && !greeting.tasks.contains(&handle.key);
            if is_lost && !abandoned.contains(&handle.key) {
                abandoned.push(handle.key);
            }
            if abandoned.contains(&handle.key) {
                continue;
            }
            if let Some(order) = &*handle.order.borrow()
                && !greeting.tasks.contains(&handle.key)
            {
                self.runner.send(&ToRunner::Start(order.clone()));
                handle.was_sent.set(true);
            }
            if let Some(reason) = &*handle.stop_reason.borrow() {
                self.runner.send(&ToRunner::Stop { key: handle.key, reason: reason.clone() });
            }
        }
        if !abandoned.is_empty() {
            tracing::warn!(tasks = abandoned.len(), "the runner was gone; what is left of its tasks is killed");
            let process = |key: &TaskKey| self.running.borrow().get(&key.task_id).and_then(|handle| handle.process.get());
            let left = abandoned.iter().map(|key| LeftOver { task_id: key.task_id, process: process(key) });
            self.runner.send(&ToRunner::Sweep(left.collect()));
        }
        drop(abandoned);
        self.stop_strangers(greeting);
        if self.abandoned.borrow().is_empty() {
            self.then(After::RememberLife(greeting.life.clone()));
        }
    }

    /// Ends what the runner has and the agent does not know: the task was given up.
    pub(super) fn stop_strangers(&self, greeting: &RunnerGreeting) {
        let running = self.running.borrow();
        let is_known = |key: &TaskKey| running.get(&key.task_id).is_some_and(|handle| handle.key == *key);
        let strangers: HashSet<TaskKey> = greeting.tasks.iter().filter(|key| !is_known(key)).copied().collect();
        for key in &strangers {
            self.runner.send(&ToRunner::Stop { key: *key, reason: "the agent does not know the task".to_owned() });
        }
        *self.strangers.borrow_mut() = strangers;
    }

    fn runner_said(self: &Rc<Self>, message: FromRunner, from: &Rc<Outgoing>) {
        match message {
            FromRunner::Hello(_) | FromRunner::Transferred(_) => tracing::error!("the runner said what it may not say now"),
            FromRunner::Started { key, at, process } => self.task_started(key, at, process),
            FromRunner::Progress { key, at, percent, message } => self.task_progress(key, at, percent, message),
            FromRunner::Lines(lines) => {
                let (tenant, batch) = (lines.tenant, lines.batch);
                self.outbox.lines(LogBatch { tenant, lines: lines.lines, batch, from: Rc::downgrade(from) });
            }
            FromRunner::Properties { key, instance, values } => answers::store(self, key, instance, values),
            FromRunner::Ended { key, result } => {
                self.task_ended(key, result);
                if self.strangers.borrow_mut().remove(&key) {
                    self.moved.notify_waiters();
                }
                // Only once it is on disk here.
                self.then(After::Taken(key));
            }
            FromRunner::Ask { ask, question } => answers::answer(self, ask, question),
            FromRunner::Swept => {
                let abandoned = self.abandoned.take();
                let has_lost = !abandoned.is_empty();
                for key in abandoned {
                    self.forget(key);
                    self.input(Input::Abandoned(key));
                }
                if has_lost {
                    let life = self.runner.life.borrow().clone();
                    self.then(After::RememberLife(life));
                }
                self.swept.notify_waiters();
            }
        }
    }

    /// Tells the runner which results are safe.
    pub(super) fn take(&self, key: TaskKey) {
        self.runner.send(&ToRunner::Taken(Taken { ended: vec![key], lines: Vec::new() }));
    }
}
