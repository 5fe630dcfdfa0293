//! The manager: lives of the deciding core over one store.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::Receiver;

use conductor_manager::app::core::{Core, CoreHandle, CoreSettings, Message, Outlets, Surroundings};
use conductor_manager::app::metrics::Metrics;
use conductor_model::ids::IdSource;
use conductor_model::{TaskId, Timestamp};
use conductor_store::{MemoryStore, OutboxMessage, Store};
use std::collections::BTreeMap;
use tokio::sync::{broadcast, mpsc};
use uuid::Uuid;

use crate::performers::Performers;

/// How often agents renew their lease, in ms.
pub const LEASE_INTERVAL_MS: i64 = 3_000;
/// How long a lease lasts, in ms.
pub const LEASE_MS: i64 = 12_000;
/// How many requests one host gets at once: few, so that some wait.
const REQUESTS_PER_HOST: usize = 2;

/// The world as the core meets it.
struct Played {
    now: Arc<AtomicI64>,
    ids: Counted,
}

struct Counted(u128);

impl IdSource for Counted {
    fn next_id(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(self.0)
    }
}

impl Surroundings for Played {
    fn now(&mut self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    fn ids(&mut self) -> &mut dyn IdSource {
        &mut self.ids
    }

    fn chance(&mut self) -> f64 {
        0.5
    }
}

/// One life.
pub struct Manager {
    core: Core,
    /// Tells it things.
    pub handle: CoreHandle,
    messages: Receiver<Message>,
    /// Messages that are stored and not yet with the broker.
    pub outgoing: mpsc::UnboundedReceiver<OutboxMessage>,
    /// What it has others do.
    pub performers: Performers,
}

impl Manager {
    /// Begins on what is stored.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn begin(store: &Arc<MemoryStore>, now: &Arc<AtomicI64>, life: u128) -> Result<Self, String> {
        let (handle, messages) = CoreHandle::channel();
        let performers = Performers::default();
        let (outbox, outgoing) = mpsc::unbounded_channel();
        let (feed, _) = broadcast::channel(1);
        let settings = CoreSettings {
            lease_interval_ms: LEASE_INTERVAL_MS,
            lease_ms: LEASE_MS,
            grace_ms: 1_000,
            requests_per_host: REQUESTS_PER_HOST,
            outputs_dir: PathBuf::from("/nonexistent"),
        };
        let metrics = Metrics::register(&mut prometheus_client::registry::Registry::default());
        let outlets = Outlets { outbox, feed, performers: Arc::new(performers.clone()) };
        let world = Box::new(Played { now: Arc::clone(now), ids: Counted(life << 64) });
        let store: Arc<dyn Store> = Arc::clone(store) as _;
        let core = Core::open(store, settings, outlets, metrics, handle.clone(), world).map_err(|error| error.to_string())?;
        handle.tell(Message::BrokerConnected(true));
        Ok(Self { core, handle, messages, outgoing, performers })
    }

    /// Does what there is to do, and hears that it is stored.
    pub fn round(&mut self) {
        self.core.step(&self.messages);
        self.core.step(&self.messages);
    }

    /// See [`Core::has_place`].
    pub fn has_place(&self, task: TaskId) -> bool {
        self.core.has_place(task)
    }

    /// See [`Core::standings`].
    pub fn standings(&self) -> BTreeMap<TaskId, String> {
        self.core.standings()
    }
}
