//! From start to end.

use std::cell::{Cell, RefCell};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use conductor_agent_core::{Input, Ledger, Recovered};
use conductor_model::{AgentId, NameError};
use rand::Rng;
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout_at};

use super::Daemon;
use crate::ctx::{Manager, server};
use crate::facts;
use crate::journal::{Journal, JournalError, JournalEvent};
use crate::link::message::Sender;
use crate::link::outbox::Outbox;
use crate::plugins::Plugins;
use crate::rest::{Rest, RestError};
use crate::runner::environment::{PERSISTENT_MARK, TASK_MARK};
use crate::runner::{BaseEnvironment, Folders, Host, killer};
use crate::settings::Settings;
use crate::sys::reaper::Reaper;
use crate::sys::{memory, procfs};

/// How long tasks that were ended because the agent ends may take beyond their grace, and results to be confirmed.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// After this long without news the agent counts as at rest.
const AT_REST: Duration = Duration::from_secs(3);

/// Why the agent could not start.
#[derive(Debug, Error)]
pub enum LifeError {
    /// The id is not a name.
    #[error("the agent's id is not valid; set `id` to another")]
    Id(#[source] NameError),
    /// A folder cannot be made.
    #[error("cannot make the folder {path}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The journal.
    #[error("cannot open the journal")]
    Journal(#[source] JournalError),
    /// The socket for `ctx`.
    #[error("cannot listen on {path}")]
    Socket {
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The client for the manager.
    #[error("cannot set up the client for the manager")]
    Rest(#[source] RestError),
    /// Signals.
    #[error("cannot listen for signals")]
    Signals(#[source] io::Error),
}

/// Runs the agent until it is told to end. Must run inside a `LocalSet`.
///
/// # Errors
/// What keeps it from starting; once it runs it goes on whatever happens.
pub async fn run(settings: Settings) -> Result<(), LifeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(LifeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(LifeError::Signals)?;
    let (daemon, mut recovered, journal_events) = set_up(settings)?;
    end_earlier_life(&daemon, &recovered).await;
    clear(&daemon.host.folders.work());
    recovered.orphans.clear();
    let (ledger, step) = recovered.resume(daemon.moment());
    *daemon.ledger.borrow_mut() = ledger;
    daemon.follow(step);

    let (end, ended) = watch::channel(false);
    tokio::task::spawn_local(heed_journal(daemon.clone(), journal_events));
    tokio::task::spawn_local(daemon.clone().say_started());
    tokio::task::spawn_local(tidy(daemon.clone()));
    let connected = tokio::task::spawn_local(daemon.clone().keep_connected(ended));

    let asked = either(&mut terminate, &mut interrupt).await;
    tracing::info!(signal = asked, "stopping: no new tasks are taken, those that run may end");
    tokio::select! {
        () = drain(&daemon) => {}
        again = either(&mut terminate, &mut interrupt) => {
            tracing::warn!(signal = again, "stopping at once; tasks that run are killed and count as lost");
            daemon.host.reaper.watched().into_iter().for_each(killer::kill_tree);
            return Ok(());
        }
    }
    let _ = end.send(true);
    drop(timeout_at(Instant::now() + LAST_WORDS, connected).await);
    daemon.host.pools.close();
    tracing::info!("stopped");
    Ok(())
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}

type SetUp = (Rc<Daemon>, Recovered, UnboundedReceiver<JournalEvent>);

fn set_up(settings: Settings) -> Result<SetUp, LifeError> {
    let id = if settings.id.is_empty() { facts::hostname() } else { settings.id.clone() };
    let agent: AgentId = id.parse().map_err(LifeError::Id)?;
    let data = std::path::absolute(&settings.data_dir)
        .map_err(|source| LifeError::Folder { path: settings.data_dir.clone(), source })?;
    let folders = Folders { data };
    for path in [folders.work(), folders.state(), folders.plugins(), folders.bin()] {
        std::fs::create_dir_all(&path).map_err(|source| LifeError::Folder { path, source })?;
    }
    let (sender, journal_events) = unbounded_channel();
    let new_incarnation = hex::encode(rand::rng().random::<[u8; 8]>());
    let (journal, opened) = Journal::open(folders.journal(), &new_incarnation, sender).map_err(LifeError::Journal)?;
    link_ctx(&folders.bin());

    let slots = settings.effective_slots();
    let recovered = Ledger::recover(slots, opened.records);
    let rest = Rc::new(Rest::new(&settings.manager, &settings.token, agent.clone()).map_err(LifeError::Rest)?);
    if let Err(error) = nix::sys::prctl::set_child_subreaper(true) {
        tracing::warn!(%error, "orphans of tasks will not come to this agent; some may get away");
    }
    let socket = server::socket_path(&folders.data, &opened.incarnation);
    let listener = server::listen(&socket).map_err(|source| LifeError::Socket { path: socket.clone(), source })?;
    let host = Host {
        agent: agent.as_str().to_owned(),
        incarnation: opened.incarnation.clone(),
        reaper: Reaper::start(true).map_err(LifeError::Signals)?,
        environment: BaseEnvironment::of_process(agent.as_str(), &folders.bin(), &folders.state(), &socket),
        folders: folders.clone(),
        work_dirs: Default::default(),
        scratch: Default::default(),
        pools: Default::default(),
        speakers: Default::default(),
        manager: Manager::Rest(rest.clone()),
    };
    let host = Rc::new(host);
    tokio::task::spawn_local(server::serve(listener, Rc::downgrade(&host)));
    let daemon = Daemon {
        slots,
        sender: Sender { agent, incarnation: opened.incarnation },
        host,
        plugins: Plugins::new(folders.plugins(), rest.clone()),
        rest,
        outbox: Outbox::shared(),
        ledger: RefCell::new(Ledger::new(slots)),
        journal: RefCell::new(journal),
        after: RefCell::default(),
        last_ticket: Cell::new(0),
        durable: Cell::new(0),
        running: RefCell::default(),
        delivering: RefCell::default(),
        manager_offset_ms: Cell::new(0),
        connected_once: Cell::new(false),
        moved: Notify::new(),
        settings,
    };
    Ok((Rc::new(daemon), recovered, journal_events))
}

/// Ends what an earlier life of the agent left running without a result.
async fn end_earlier_life(daemon: &Daemon, recovered: &Recovered) {
    let orphans = recovered.all_orphans();
    for orphan in &orphans {
        tracing::warn!(task.id = %orphan.key.task_id, "a task was running when the agent ended; what is left of it is killed");
        if let Some(process) = orphan.process
            && procfs::stat(process.pid).is_some_and(|stat| stat.start_ticks == process.start_ticks)
        {
            killer::kill_tree(nix::unistd::Pid::from_raw(process.pid));
        }
    }
    let tasks = orphans.iter().map(|orphan| orphan.key.task_id.to_string()).collect();
    let own = vec![daemon.host.incarnation.clone()];
    killer::kill_marked(&daemon.host.agent, &[(TASK_MARK, tasks), (PERSISTENT_MARK, own)]).await;
}

async fn heed_journal(daemon: Rc<Daemon>, mut events: UnboundedReceiver<JournalEvent>) {
    while let Some(event) = events.recv().await {
        daemon.journal_said(event);
    }
}

/// Writes what waits and gives memory back whenever the agent has come to rest.
async fn tidy(daemon: Rc<Daemon>) {
    loop {
        daemon.moved.notified().await;
        while tokio::time::timeout(AT_REST, daemon.moved.notified()).await.is_ok() {}
        daemon.journal.borrow_mut().flush();
        memory::give_back();
    }
}

/// Takes nothing new, waits for what runs, ends it when that takes too long, and waits for the results to be confirmed.
async fn drain(daemon: &Rc<Daemon>) {
    daemon.input(Input::Drain);
    daemon.outbox.renew_lease();
    let limit = Duration::from_secs(daemon.settings.drain_seconds);
    wait_until(daemon, Instant::now() + limit, |daemon| daemon.ledger.borrow().occupied() == 0).await;
    daemon.stop_all();
    wait_until(daemon, Instant::now() + LAST_WORDS, |daemon| daemon.ledger.borrow().occupied() == 0).await;
    let said = |daemon: &Daemon| daemon.ledger.borrow().is_drained() && daemon.outbox.is_empty();
    wait_until(daemon, Instant::now() + LAST_WORDS, said).await;
}

async fn wait_until(daemon: &Daemon, deadline: Instant, is_so: impl Fn(&Daemon) -> bool) {
    loop {
        let moved = daemon.moved.notified();
        if is_so(daemon) || timeout_at(deadline, moved).await.is_err() {
            return;
        }
    }
}

/// Empties the folder of working directories: none of their tasks runs any more.
fn clear(work: &Path) {
    let Ok(entries) = std::fs::read_dir(work) else { return };
    for entry in entries.flatten() {
        if let Err(error) = std::fs::remove_dir_all(entry.path()) {
            tracing::warn!(path = %entry.path().display(), %error, "a working directory cannot be removed");
        }
    }
}

/// Makes `ctx`: this binary under another name.
pub fn link_ctx(bin: &Path) {
    let link = bin.join("ctx");
    let linked = std::env::current_exe().and_then(|own| {
        if std::fs::read_link(&link).is_ok_and(|target| target == own) {
            return Ok(());
        }
        if link.symlink_metadata().is_ok() {
            std::fs::remove_file(&link)?;
        }
        std::os::unix::fs::symlink(own, &link)
    });
    if let Err(error) = linked {
        tracing::warn!(path = %link.display(), %error, "`ctx` cannot be put there; scripts will not have it");
    }
}
