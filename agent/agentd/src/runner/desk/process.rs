//! The runner process from start to end.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use thiserror::Error;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::serve::{Desks, serve};
use super::{House, renewal};
use crate::runner::job::new_token;
use crate::runner::killer;
use crate::sys::cgroup::Cgroups;
use crate::sys::memory;
use crate::sys::reaper::Reaper;

/// How long tasks that are ended because the runner ends may take beyond their grace.
const ENDING_MAX: Duration = Duration::from_secs(15);
/// How long the agent may take to take what is left.
const TAKING_MAX: Duration = Duration::from_secs(10);
/// How often it is looked whether no task runs, while the program is to be replaced.
const RENEW_LOOK: Duration = Duration::from_millis(100);
/// After this long it tries again to replace its program when that failed.
const RENEW_AGAIN: Duration = Duration::from_secs(1);
/// After this long without news the runner counts as at rest.
const AT_REST: Duration = Duration::from_secs(3);

/// How a runner is to be.
#[derive(Clone, Debug)]
pub struct RunnerOptions {
    /// Where it listens.
    pub socket: PathBuf,
    /// Where it keeps everything.
    pub data: PathBuf,
    /// Most bytes of log that it keeps on disk for one agent.
    pub spool_bytes: u64,
    /// What the host lets run.
    pub policy_file: PathBuf,
    /// The user that tasks run as.
    pub user: String,
    /// Users whose processes may connect, beside root and its own.
    pub clients: Vec<u32>,
    /// Whether its control group is delegated to it, if it has one.
    pub uses_cgroups: bool,
}

/// Why a runner could not start.
#[derive(Debug, Error)]
pub enum RunnerError {
    /// A folder or file cannot be made.
    #[error("cannot make {path}")]
    Make {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another runner uses the folder.
    #[error("the folder {path} is in use by another runner")]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// The socket.
    #[error("cannot listen on {path}")]
    Socket {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Signals.
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
}

/// Runs plugins for agents until it is told to end. Must run inside a `LocalSet`.
///
/// SIGHUP has it replace its program by the one that lies there now, as soon as no task runs.
///
/// # Errors
/// What keeps it from starting.
pub async fn run(options: RunnerOptions) -> Result<(), RunnerError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RunnerError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunnerError::Signals)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(RunnerError::Signals)?;
    let make = |path: &Path, source| RunnerError::Make { path: path.to_owned(), source };
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&options.data);
    made.map_err(|source| make(&options.data, source))?;
    let data = std::path::absolute(&options.data).map_err(|source| make(&options.data, source))?;
    let _lock = lock(&data)?;
    if let Err(error) = nix::sys::prctl::set_child_subreaper(true) {
        tracing::warn!(%error, "orphans of tasks will not come to this runner; some may get away");
    }
    let kept = renewal::take(&data);
    let cgroups = if options.uses_cgroups { Cgroups::take_over() } else { None };
    if let Some(cgroups) = &cgroups {
        cgroups.tidy();
    }
    let house = House {
        data,
        spool_bytes: options.spool_bytes,
        policy_file: options.policy_file,
        reaper: Reaper::start(true).map_err(RunnerError::Signals)?,
        cgroups,
        user: options.user,
    };
    let desks = Rc::new(Desks {
        house,
        clients: options.clients,
        life: kept.life.unwrap_or_else(new_token),
        kept: RefCell::new(kept.desks.into_iter().collect()),
        open: Default::default(),
        opening: Default::default(),
        end_asked: Default::default(),
    });
    let listener = listen(&options.socket, !desks.clients.is_empty())
        .map_err(|source| RunnerError::Socket { path: options.socket.clone(), source })?;
    tracing::info!(socket = %options.socket.display(), "the runner is ready");
    tokio::task::spawn_local(serve(listener, desks.clone()));
    tokio::task::spawn_local(tidy(desks.clone()));
    let (mut renews, mut renew_look) = (false, RENEW_LOOK);
    loop {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("stopping: tasks that run are ended"),
            _ = interrupt.recv() => tracing::info!("stopping: tasks that run are ended"),
            () = desks.end_asked.notified() => tracing::info!("stopping: the agent ends"),
            _ = hang_up.recv() => {
                tracing::info!("the runner replaces its program as soon as no task runs");
                (renews, renew_look) = (true, RENEW_LOOK);
                continue;
            }
            () = tokio::time::sleep(renew_look), if renews => {
                let opening = desks.opening.try_lock();
                if opening.is_ok() && desks.all().iter().all(|desk| desk.is_at_rest()) {
                    // A full disk may be why it did not: it is tried again, only not at once.
                    renewal::renew(&desks);
                    renew_look = RENEW_AGAIN;
                }
                continue;
            }
        }
        break;
    }
    tokio::select! {
        () = end(&desks) => {}
        _ = terminate.recv() => {
            tracing::warn!("stopping at once; tasks that run are killed and count as lost");
            desks.house.reaper.watched().into_iter().for_each(killer::kill_tree);
        }
    }
    // It may be gone already, with the folder that it was in.
    let _ = std::fs::remove_file(&options.socket);
    tracing::info!("stopped");
    Ok(())
}

/// Ends all tasks and lets the agents take what is left; what they do not take waits for the next life.
async fn end(desks: &Desks) {
    let all = desks.all();
    for desk in &all {
        desk.stop_all();
        desk.host.pools.close();
    }
    let deadline = Instant::now() + ENDING_MAX;
    for desk in &all {
        desk.wait_until(deadline, |desk| desk.is_at_rest()).await;
    }
    if all.iter().any(|desk| !desk.is_at_rest()) {
        desks.house.reaper.watched().into_iter().for_each(killer::kill_tree);
    }
    let deadline = Instant::now() + TAKING_MAX;
    for desk in &all {
        desk.wait_until(deadline, |desk| desk.is_empty() || !desk.line.is_connected()).await;
    }
    renewal::put_by(desks, None);
}

/// Gives memory back whenever the runner has come to rest.
async fn tidy(desks: Rc<Desks>) {
    let mut was_busy = true;
    loop {
        tokio::time::sleep(AT_REST).await;
        let is_busy = desks.all().iter().any(|desk| !desk.is_empty());
        if was_busy && !is_busy {
            memory::give_back();
        }
        was_busy = is_busy;
    }
}

fn lock(data: &Path) -> Result<Flock<File>, RunnerError> {
    let path = data.join("runner.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|source| RunnerError::Make { path: path.clone(), source })?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Err(RunnerError::InUse { path: data.to_owned() }),
        Err((_, error)) => Err(RunnerError::Make { path, source: error.into() }),
    }
}

/// Listens, for this user alone or for others too: who may stay is asked of each connection.
fn listen(path: &Path, others: bool) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(if others { 0o666 } else { 0o600 }))?;
    Ok(listener)
}
