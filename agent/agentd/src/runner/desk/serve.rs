//! Connections of agents, and their orders.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use conductor_model::AgentId;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;

use super::transfer::Transfer;
use super::{Desk, House, Kept};
use crate::runner::Stop;
use crate::runner_link::frames::{Incoming, Outgoing, append};
use crate::runner_link::message::{AgentGreeting, FromRunner, RUNNER_PROTOCOL, RunnerGreeting, ToRunner, TransferGreeting};

/// Longest wait for an agent's greeting.
const GREETING_WAIT: Duration = Duration::from_secs(10);
/// Most agents that one runner works for.
const AGENTS_MAX: usize = 16;

/// The desks of a runner.
#[derive(Debug)]
pub struct Desks {
    /// What they share.
    pub house: House,
    /// Users whose processes may connect, beside root and the runner's own.
    pub clients: Vec<u32>,
    /// Drawn when the runner began with nothing.
    pub life: String,
    /// What an earlier process of the runner kept.
    pub kept: RefCell<HashMap<AgentId, Kept>>,
    /// By agent.
    pub open: RefCell<HashMap<AgentId, Rc<Desk>>>,
    /// One is opened at a time.
    pub opening: Mutex<()>,
    /// Woken when an agent wants the runner to end.
    pub end_asked: Notify,
}

impl Desks {
    /// All desks that are open.
    #[must_use]
    pub fn all(&self) -> Vec<Rc<Desk>> {
        self.open.borrow().values().cloned().collect()
    }

    async fn desk(&self, agent: &AgentId) -> io::Result<Rc<Desk>> {
        let _one = self.opening.lock().await;
        if let Some(desk) = self.open.borrow().get(agent) {
            return Ok(desk.clone());
        }
        if self.open.borrow().len() >= AGENTS_MAX {
            return Err(io::Error::other(format!("the runner works for {AGENTS_MAX} agents already")));
        }
        let kept = self.kept.borrow_mut().remove(agent).unwrap_or_default();
        let desk = Desk::open(agent.clone(), &self.house, kept).await?;
        self.open.borrow_mut().insert(agent.clone(), desk.clone());
        Ok(desk)
    }

    fn may_connect(&self, stream: &UnixStream) -> bool {
        let own = nix::unistd::geteuid().as_raw();
        match stream.peer_cred() {
            Ok(peer) if peer.uid() == 0 || peer.uid() == own || self.clients.contains(&peer.uid()) => true,
            Ok(peer) => {
                tracing::warn!(peer.uid = peer.uid(), "a process of a user that may not use this runner was turned away");
                false
            }
            Err(error) => {
                tracing::warn!(%error, "it cannot be told who connects; turned away");
                false
            }
        }
    }
}

/// Takes connections for ever.
pub async fn serve(listener: UnixListener, desks: Rc<Desks>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) if desks.may_connect(&stream) => {
                let desks = desks.clone();
                tokio::task::spawn_local(async move {
                    if let Err(error) = converse(stream, &desks).await {
                        tracing::warn!(%error, "the connection of an agent broke off");
                    }
                });
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: UnixStream, desks: &Desks) -> io::Result<()> {
    let (read, write) = stream.into_split();
    let mut incoming = Incoming::new(read);
    let AgentGreeting { protocol, agent } = match timeout(GREETING_WAIT, incoming.next()).await?? {
        Some(ToRunner::Hello(greeting)) => greeting,
        Some(ToRunner::Transfer(greeting)) => return transfer(&greeting, incoming, write, desks).await,
        _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "it did not say who it is")),
    };
    let greet = |tasks| {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        FromRunner::Hello(RunnerGreeting { protocol: RUNNER_PROTOCOL, life: desks.life.clone(), version, tasks })
    };
    let outgoing = Rc::new(Outgoing::default());
    let writing = outgoing.clone();
    let pump = tokio::task::spawn_local(async move {
        // An end of the connection shows where it is read, after everything that its other end still wrote.
        let _ = writing.pump(write).await;
        writing.close();
    });
    if protocol != RUNNER_PROTOCOL {
        tracing::error!(%agent, protocol, "an agent speaks another protocol; this runner speaks {RUNNER_PROTOCOL}");
        outgoing.send(&greet(Vec::new()));
        outgoing.flushed().await;
        pump.abort();
        return Ok(());
    }
    let desk = desks.desk(&agent).await?;
    let _turn = desk.turn.lock().await;
    desk.line.connect(outgoing.clone(), &greet(desk.tasks()));
    desk.say_again();
    tracing::info!(%agent, "an agent has connected");
    let ended = heed(&mut incoming, &desk, desks).await;
    desk.disconnected();
    outgoing.close();
    pump.abort();
    tracing::info!(%agent, "the agent's connection has ended; its tasks go on");
    ended
}

/// A connection for the bytes of one file.
async fn transfer(
    TransferGreeting { agent, ask }: &TransferGreeting,
    incoming: Incoming,
    mut write: OwnedWriteHalf,
    desks: &Desks,
) -> io::Result<()> {
    let desk = desks.open.borrow().get(agent).cloned();
    let Some(transfer) = desk.and_then(|desk| desk.line.transfer(*ask)) else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no task of that agent asked for a file"));
    };
    let moved = transfer.run(*ask, incoming.into_bytes(), &mut write).await;
    if let Transfer::Into(target) = transfer {
        let told = moved.map_err(|error| format!("{} cannot be written: {error}", target.display()));
        let mut frame = Vec::new();
        append(&mut frame, &FromRunner::Transferred(told))?;
        return write.write_all(&frame).await;
    }
    moved
}

async fn heed(incoming: &mut Incoming, desk: &Rc<Desk>, desks: &Desks) -> io::Result<()> {
    while let Some(message) = incoming.next::<ToRunner>().await? {
        match message {
            ToRunner::Start(order) => desk.start(*order),
            ToRunner::Stop { key, reason } => desk.stop(key, Stop::Cancelled(reason)),
            ToRunner::Taken(taken) => {
                desk.taken(&taken.ended);
                desk.lines_taken(&taken.lines);
            }
            ToRunner::Stored { key, done } => desk.stored(key, done),
            ToRunner::Answer { ask, answer } => desk.line.answered(ask, answer),
            ToRunner::Sweep(left) => {
                let desk = desk.clone();
                tokio::task::spawn_local(async move {
                    desk.sweep(&left).await;
                    desk.line.send(&FromRunner::Swept);
                });
            }
            ToRunner::StopAll => desk.stop_all(),
            ToRunner::End => desks.end_asked.notify_one(),
            ToRunner::Hello(_) | ToRunner::Transfer(_) => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "it said hello twice"));
            }
        }
    }
    Ok(())
}
