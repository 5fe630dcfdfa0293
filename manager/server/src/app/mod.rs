//! The use cases: authorise, load, decide, commit, wake.
//!
//! [`App`] is what every door calls. Commands that change workflows go to the deciding thread (`core`) and answer after
//! the commit; reads go to the store's readers.

mod agents;
mod catalogue;
mod control;
pub mod core;
mod definitions;
mod difference;
mod error;
pub mod events;
pub mod files;
pub mod metrics;
pub mod node_instances;
pub mod packages;
pub mod perform;
pub mod plugins;
mod queues;
mod reads;
mod rehearsal;
mod retention;
mod revisions;
pub mod schedules;
pub mod schemas;
mod secrets;
mod tokens;
pub mod trust;
mod waiting;
mod workflows;

pub use agents::AgentView;
pub use control::RerunCommand;
pub use core::Announcement;
pub use difference::Change;
pub use error::AppError;
pub use rehearsal::{MockOutcome, Rehearsal};
pub use revisions::{Lock, LockNote, State as DefinitionState};
pub use secrets::SECRET_BYTES_MAX;
pub use tokens::{Caller, TokenDigest, ensure_admin_token, token_digest, token_hash};
pub use waiting::Standing;
pub use workflows::{IdempotencyStrategy, StartCommand};

#[cfg(test)]
pub(crate) mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use conductor_model::FeedEntry;
use conductor_store::{OutboxMessage, Store, StoreError};
use tokio::sync::{broadcast, mpsc, watch};

use self::core::{Core, CoreHandle, CoreSettings, Message, Outlets, RealWorld};
use self::definitions::PlanCache;
use self::events::Events;
use self::metrics::Metrics;
use self::perform::{Performers, Vault};
use self::trust::Trust;
use crate::accounts::Accounts;
use crate::broker::{self, Broker};
use crate::config::Settings;

/// Feed entries that a slow listener may lag behind before it must read from the store.
const FEED_LAG_MAX: usize = 4096;

/// The application. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    inner: Arc<Inner>,
}

/// What all handles share.
#[derive(Debug)]
struct Inner {
    store: Arc<dyn Store>,
    core: CoreHandle,
    broker: Broker,
    feed: broadcast::Sender<Arc<FeedEntry>>,
    plans: PlanCache,
    settings: Settings,
    outputs_dir: PathBuf,
    metrics: Metrics,
    performers: Performers,
    vault: Arc<Vault>,
    events: Events,
    trust: Arc<Trust>,
    accounts: Arc<Accounts>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl App {
    /// Builds the deciding thread's memory from the store, starts the thread, and gives the broker's part, which the caller
    /// runs ([`broker::Parts::run`]).
    ///
    /// # Errors
    /// When the store cannot be read or the thread cannot be started.
    pub(crate) fn start(
        settings: &Settings,
        store: Arc<dyn Store>,
        metrics: Metrics,
        trust: Arc<Trust>,
        accounts: Arc<Accounts>,
    ) -> Result<(Self, broker::Parts), StoreError> {
        let outputs_dir = settings.data_dir.join("outputs");
        let (handle, messages) = CoreHandle::channel();
        let (outbox, outgoing) = mpsc::unbounded_channel::<OutboxMessage>();
        let (feed, _) = broadcast::channel(FEED_LAG_MAX);
        let lease_ms = settings.lease.lease_ms;
        let core_settings = CoreSettings {
            lease_interval_ms: i64::try_from(settings.lease.interval_ms).unwrap_or(i64::MAX),
            lease_ms: i64::try_from(lease_ms).unwrap_or(i64::MAX),
            grace_ms: GRACE_MS,
            requests_per_host: settings.limits.http_requests_per_host,
            outputs_dir: outputs_dir.clone(),
        };
        let performers = Performers::new(handle.clone(), script_launcher());
        let vault = Arc::new(Vault::open(Arc::clone(&store), settings.data_dir.join("secrets.key"))?);
        performers.open_vault(Arc::clone(&vault));
        let outlets = Outlets { outbox, feed: feed.clone(), performers: Arc::new(performers.clone()) };
        let core = Core::open(
            Arc::clone(&store),
            core_settings,
            outlets,
            metrics.clone(),
            handle.clone(),
            Box::<RealWorld>::default(),
        )?;
        let trusted = broker::Trusted {
            signer: Arc::clone(trust.signer()),
            authority_pem: trust.authority().certificate_pem().to_owned(),
            accounts: Arc::clone(&accounts),
        };
        let (broker, parts, incoming) =
            Broker::new(settings.broker.clone(), handle.clone(), Arc::clone(&store), metrics.clone(), outgoing, trusted);
        let inner = Arc::new(Inner {
            store,
            core: handle,
            broker,
            feed,
            plans: PlanCache::default(),
            settings: settings.clone(),
            outputs_dir,
            metrics,
            performers,
            vault,
            events: Events::new(incoming),
            trust,
            accounts,
            thread: Mutex::default(),
        });
        // Before the thread, which performs what was under way at the last end.
        inner.performers.attach(Arc::downgrade(&inner));
        let thread = std::thread::Builder::new()
            .name("deciding".to_owned())
            .spawn(move || core.run(&messages))
            .map_err(|error| StoreError::Backend { operation: "starting the deciding thread", message: error.to_string() })?;
        if let Ok(mut own) = inner.thread.lock() {
            *own = Some(thread);
        }
        Ok((Self { inner }, parts))
    }

    /// Hears every feed entry from now on, of all tenants (the receiver filters). A slow listener loses entries and must
    /// read them from the store.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<FeedEntry>> {
        self.inner.feed.subscribe()
    }

    /// Puts an entry into the feed.
    pub fn announce(&self, announcement: Announcement) {
        self.inner.core.tell(Message::Announce(Box::new(announcement)));
    }

    /// Hears that plugins were added or removed: what tasks run by is looked up anew.
    pub fn plugins_changed(&self) {
        self.inner.core.tell(Message::PluginsChanged);
    }

    /// Who is let in as an agent.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.inner.trust
    }

    /// Whether there is a session with the broker.
    #[must_use]
    pub fn broker_connected(&self) -> bool {
        self.inner.broker.is_connected()
    }

    /// The manager's settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Stores what is decided and ends the deciding thread. Later commands are refused as unavailable.
    pub fn stop(&self) {
        self.inner.core.tell(Message::Stop);
        let thread = self.inner.thread.lock().ok().and_then(|mut thread| thread.take());
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the deciding thread panicked");
        }
    }

    /// Keeps the feed within its bound until `shutdown` turns true.
    pub(crate) async fn trim_feed(self, mut shutdown: watch::Receiver<bool>) {
        loop {
            let pause = tokio::time::sleep(TRIM_EVERY);
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return,
                () = pause => {}
            }
            let last = self.inner.metrics.last_feed_id.load(std::sync::atomic::Ordering::Relaxed);
            let up_to = last.saturating_sub(self.inner.settings.feed.keep_entries);
            if up_to > 0
                && let Err(error) = self.read(move |store| store.trim_feed(up_to)).await
            {
                tracing::warn!(%error, "the feed could not be trimmed");
            }
        }
    }
}

/// How the helper processes of scripts are started: this program again.
#[cfg(not(test))]
fn script_launcher() -> conductor_script::Launcher {
    conductor_script::Launcher::this_program([crate::cmd::SCRIPT_WORKER])
}

/// The test program again, for the one "test" that is the helper.
#[cfg(test)]
fn script_launcher() -> conductor_script::Launcher {
    let test = "app::tests::script_worker";
    conductor_script::Launcher::this_program([test, "--exact", "--ignored", "--nocapture", "--test-threads=1"])
}

/// From TERM to KILL on a host, in ms.
const GRACE_MS: u64 = 5_000;
/// How often the feed is cut to its bound.
const TRIM_EVERY: std::time::Duration = std::time::Duration::from_secs(30);
