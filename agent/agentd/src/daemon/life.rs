//! From start to end.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use conductor_agent_core::{Fate, Input, Ledger, Orphan, Recovered, TaskKey};
use conductor_boot::supervisor;
use conductor_model::{AgentId, NameError};
use rand::Rng;
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::host::RUNNER_PATIENCE;
use super::runners::{Connected, Runner};
use super::{After, Daemon};
use crate::facts;
use crate::identity::{self, Identity, IdentityError};
use crate::journal::{Journal, JournalError, JournalEvent};
use crate::link::message::Sender;
use crate::link::outbox::Outbox;
use crate::plugins::Plugins;
use crate::policy::PolicyFile;
use crate::rest::{Rest, RestError};
use crate::runner::Folders;
use crate::runner_link::message::{LeftOver, ToRunner};
use crate::settings::Settings;
use crate::sys::memory;

/// How long tasks that were ended because the agent ends may take beyond their grace, and results to be confirmed.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// How long tasks that were given up may take to end before others are begun.
const STRANGERS_MAX: Duration = Duration::from_secs(30);

/// The manager of an agent that was told none and was not enrolled.
const DEFAULT_MANAGER: &str = "http://127.0.0.1:53333";

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
    /// The identity that enrolment gave is there and cannot be used.
    #[error("this host's identity cannot be used")]
    Identity(#[source] IdentityError),
    /// The journal.
    #[error("cannot open the journal")]
    Journal(#[source] JournalError),
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
    let (daemon, recovered, journal_events) = set_up(settings)?;
    tokio::task::spawn_local(heed_journal(daemon.clone(), journal_events));
    let left = recovered.all_orphans();
    let (ledger, step) = recovered.wait_for_runner();
    *daemon.ledger.borrow_mut() = ledger;
    daemon.adopt_all(&HashSet::new());
    daemon.follow(step);
    let runner = tokio::select! {
        runner = timeout(RUNNER_PATIENCE, daemon.runner.connect()) => runner,
        // Without a runner nothing of ours runs.
        asked = either(&mut terminate, &mut interrupt) => {
            tracing::info!(signal = asked, "stopped before there was a runner");
            return Ok(());
        }
    };
    match runner {
        Ok(runner) => go_on(&daemon, left, runner).await,
        Err(_) => {
            // The manager is told why nothing goes on, and gets what is done.
            daemon.runner_away(true);
            let daemon = daemon.clone();
            tokio::task::spawn_local(async move {
                let runner = daemon.runner.connect().await;
                go_on(&daemon, left, runner).await;
                daemon.runner_away(false);
            });
        }
    }
    let (end, ended) = watch::channel(false);
    tokio::task::spawn_local(daemon.clone().watch_host());
    tokio::task::spawn_local(daemon.clone().say_started());
    tokio::task::spawn_local(tidy(daemon.clone()));
    if let Some(identity) = daemon.identity.clone() {
        let (dir, offset) = (identity::folder(&daemon.settings.data_dir), daemon.clone());
        let renewing = identity::keep_renewed(dir, identity, daemon.rest.clone(), move || offset.manager_offset_ms.get());
        tokio::task::spawn_local(renewing);
    }
    let connected = tokio::task::spawn_local(daemon.clone().keep_connected(ended));
    tokio::task::spawn_local(watched());
    supervisor::ready();

    let asked = either(&mut terminate, &mut interrupt).await;
    tracing::info!(signal = asked, "stopping: no new tasks are taken, those that run may end");
    supervisor::stopping();
    tokio::select! {
        () = drain(&daemon) => {}
        again = either(&mut terminate, &mut interrupt) => {
            tracing::warn!(signal = again, "stopping at once; tasks that run are killed and count as lost");
            daemon.runner.kill();
            return Ok(());
        }
    }
    let _ = end.send(true);
    drop(timeout_at(Instant::now() + LAST_WORDS, connected).await);
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

fn set_up(mut settings: Settings) -> Result<SetUp, LifeError> {
    let identity = Identity::load(&identity::folder(&settings.data_dir)).map_err(LifeError::Identity)?;
    let agent: AgentId = match &identity {
        // Whoever has an identity is nobody else.
        Some(identity) => identity.note.id.clone(),
        None if settings.id.is_empty() => facts::hostname().parse().map_err(LifeError::Id)?,
        None => settings.id.parse().map_err(LifeError::Id)?,
    };
    let data = std::path::absolute(&settings.data_dir)
        .map_err(|source| LifeError::Folder { path: settings.data_dir.clone(), source })?;
    let folders = Folders { data };
    let plugins = folders.plugins();
    std::fs::create_dir_all(&plugins).map_err(|source| LifeError::Folder { path: plugins, source })?;
    let (sender, journal_events) = unbounded_channel();
    let new_incarnation = hex::encode(rand::rng().random::<[u8; 8]>());
    let (journal, opened) = Journal::open(folders.journal(), &new_incarnation, sender).map_err(LifeError::Journal)?;

    let slots = settings.effective_slots();
    let recovered = Ledger::recover(slots, opened.records).of_journal(opened.incarnation.clone());
    if let Some(identity) = &identity {
        if settings.manager.is_empty() {
            settings.manager = identity.note.manager.clone();
        }
        // The certificate says who this is; a token would say that it is somebody else.
        settings.token = String::new();
    } else if settings.manager.is_empty() {
        settings.manager = DEFAULT_MANAGER.to_owned();
    }
    let rest = Rest::new(&settings.manager, &settings.token, agent.clone()).map_err(LifeError::Rest)?;
    if let Some(identity) = &identity {
        rest.use_identity(identity).map_err(LifeError::Rest)?;
    }
    let rest = Rc::new(rest);
    let daemon = Daemon {
        slots,
        sender: Sender { agent: agent.clone(), incarnation: opened.incarnation },
        runner: Runner::new(agent, &settings.runner, &folders.data, &settings.policy_file),
        policy: PolicyFile::new(settings.policy_file.clone()),
        user: settings.runner.effective_user(),
        plugins: Plugins::new(folders.plugins(), rest.clone()),
        rest,
        outbox: Outbox::shared(),
        ledger: RefCell::new(Ledger::new(slots)),
        journal: RefCell::new(journal),
        after: RefCell::default(),
        last_ticket: Cell::new(0),
        durable: Cell::new(0),
        running: RefCell::default(),
        abandoned: RefCell::default(),
        swept: Notify::new(),
        strangers: RefCell::default(),
        delivering: RefCell::default(),
        identity: identity.map(|identity| Rc::new(RefCell::new(identity))),
        task_key: RefCell::default(),
        manager_offset_ms: Cell::new(0),
        connected_once: Cell::new(false),
        is_runner_away: Cell::new(false),
        moved: Notify::new(),
        settings,
    };
    Ok((Rc::new(daemon), recovered, journal_events))
}

/// Goes on with what an earlier life of the agent left: what the runner has goes on, what went with another runner is ended
/// and lost, what never came to it begins now.
async fn go_on(daemon: &Rc<Daemon>, left: Vec<Orphan>, runner: Connected) {
    let runs: HashSet<TaskKey> = runner.greeting.tasks.iter().copied().collect();
    let is_same_life = daemon.runner.is_same_life(&runner.greeting);
    let gone = |key: &TaskKey| !is_same_life && !runs.contains(key);
    let left: Vec<_> = left
        .into_iter()
        .filter(|orphan| gone(&orphan.key))
        .map(|orphan| LeftOver { task_id: orphan.key.task_id, process: orphan.process })
        .collect();
    daemon.speak_to(&runner);
    if !left.is_empty() {
        tracing::warn!(tasks = left.len(), "tasks ran when the agent and its runner ended; what is left of them is killed");
    }
    let fate = |key| match (runs.contains(&key), is_same_life) {
        (true, _) => Fate::Runs,
        (false, true) => Fate::NotBegun,
        (false, false) => Fate::Gone,
    };
    let has_left = !left.is_empty();
    let swept = daemon.swept.notified();
    if has_left {
        daemon.runner.send(&ToRunner::Sweep(left));
    }
    let greeting = runner.greeting.clone();
    // What the runner says of tasks is read once they are known here.
    let step = daemon.ledger.borrow_mut().meet_runner(daemon.moment(), fate);
    daemon.adopt_all(&runs);
    daemon.stop_strangers(&greeting);
    tokio::task::spawn_local(daemon.clone().keep_runner(runner));
    if has_left {
        swept.await;
    }
    // A later dispatch of such a task begins after the end of the earlier one.
    wait_until(daemon, Instant::now() + STRANGERS_MAX, |daemon| daemon.strangers.borrow().is_empty()).await;
    daemon.follow(step);
    daemon.then(After::RememberLife(greeting.life));
}

/// Tells systemd that the agent is alive: one thread does everything, and this is a task of it.
async fn watched() {
    let Some(every) = supervisor::alive_every() else { return };
    loop {
        tokio::time::sleep(every).await;
        supervisor::alive();
    }
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
        while timeout(AT_REST, daemon.moved.notified()).await.is_ok() {}
        daemon.journal.borrow_mut().flush();
        memory::give_back();
    }
}

/// Takes nothing new, waits for what runs, ends it when that takes too long, and waits for the results to be confirmed.
async fn drain(daemon: &Rc<Daemon>) {
    daemon.input(Input::Drain);
    daemon.outbox.renew_lease();
    let limit = daemon.settings.drain_limit();
    if daemon.runner.is_own() && daemon.runner.is_connected() {
        wait_until(daemon, Instant::now() + limit, |daemon| daemon.ledger.borrow().occupied() == 0).await;
        daemon.runner.send(&ToRunner::StopAll);
        wait_until(daemon, Instant::now() + LAST_WORDS, |daemon| daemon.ledger.borrow().occupied() == 0).await;
    }
    let said = |daemon: &Daemon| daemon.ledger.borrow().is_settled() && daemon.outbox.is_empty();
    wait_until(daemon, Instant::now() + LAST_WORDS, said).await;
    if daemon.runner.is_own() {
        // What it still has of their logs comes now.
        daemon.runner.end(LAST_WORDS).await;
        wait_until(daemon, Instant::now() + LAST_WORDS, said).await;
    }
}

async fn wait_until(daemon: &Daemon, deadline: Instant, is_so: impl Fn(&Daemon) -> bool) {
    loop {
        let moved = daemon.moved.notified();
        if is_so(daemon) || timeout_at(deadline, moved).await.is_err() {
            return;
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
