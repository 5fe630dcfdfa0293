//! Outbox → RabbitMQ with confirms; RabbitMQ → events. The only module of the manager that names lapin.
//!
//! One session lives as long as both its connections: one publishes, one consumes, because a broker that is short of
//! memory stops reading from those who publish. When either fails, the session ends, what was not confirmed goes back to
//! the front of the queue, and another session is begun after a pause with full jitter, without end.

mod consumers;
mod events;
mod logs;
pub(crate) mod probe;
mod publisher;
mod session;
mod source;
mod topology;

use std::sync::Arc;
use std::time::Duration;

use conductor_model::AgentId;
use conductor_store::{OutboxMessage, Store};
use thiserror::Error;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::accounts::Accounts;
use crate::app::core::CoreHandle;
use crate::app::metrics::Metrics;
use crate::config::{BrokerSettings, QueueType};
use crate::pki::TaskSigner;
use events::Publication;
pub use events::{Incoming, Settlement, Sources};
pub use source::{EventSource, Exchange, SourceError};

/// How a task of a session ends: with the failure that ends the session.
type Ended = Result<(), lapin::Error>;

/// Declarations that may wait at once; more callers wait for their turn.
const DECLARATIONS_MAX: usize = 1024;
/// Messages of workflows that wait to be published at once; more publishers wait for their turn.
const PUBLICATIONS_MAX: usize = 256;
/// Messages that wait to be handled at once.
const INCOMING_MAX: usize = 64;
/// How long a message of a workflow waits for RabbitMQ to be there.
const PUBLISH_WAIT_MAX: Duration = Duration::from_secs(20);

/// Why something could not be done on the broker.
#[derive(Clone, Debug, Error)]
pub enum BrokerError {
    /// There is no connection at the moment.
    #[error("there is no connection to RabbitMQ at the moment")]
    Away,
    /// The broker refused.
    #[error("RabbitMQ refused to {action}: {message}")]
    Refused {
        /// What was tried.
        action: &'static str,
        /// What it said.
        message: String,
    },
}

/// What the broker is needed for beside messages. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Broker {
    declarations: mpsc::Sender<Declaration>,
    publications: mpsc::Sender<Publication>,
    sources: Arc<watch::Sender<Sources>>,
    connected: watch::Receiver<bool>,
}

/// A request to declare or delete an agent's queue.
#[derive(Debug)]
struct Declaration {
    agent: AgentId,
    wanted: Wanted,
    reply: oneshot::Sender<Result<(), BrokerError>>,
}

/// What is to become of an agent's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// It is to be there, with its binding.
    There,
    /// It is to be gone, with what is in it.
    Gone,
}

/// Whom the broker's part believes, and by what it is believed.
#[derive(Debug)]
pub(crate) struct Trusted {
    /// What signs messages to agents.
    pub(crate) signer: Arc<TaskSigner>,
    /// The manager's own authority, PEM.
    pub(crate) authority_pem: String,
    /// Agents' users.
    pub(crate) accounts: Arc<Accounts>,
}

/// What a session works with.
pub(crate) struct Parts {
    settings: BrokerSettings,
    core: CoreHandle,
    store: Arc<dyn Store>,
    metrics: Metrics,
    trusted: Trusted,
    pub(crate) outbox: mpsc::UnboundedReceiver<OutboxMessage>,
    declarations: mpsc::Receiver<Declaration>,
    publications: Arc<Mutex<mpsc::Receiver<Publication>>>,
    sources: watch::Receiver<Sources>,
    incoming: mpsc::Sender<Incoming>,
    connected: watch::Sender<bool>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Broker {
    /// The handle, what [`Parts::run`] needs, and the messages that come.
    pub(crate) fn new(
        settings: BrokerSettings,
        core: CoreHandle,
        store: Arc<dyn Store>,
        metrics: Metrics,
        outbox: mpsc::UnboundedReceiver<OutboxMessage>,
        trusted: Trusted,
    ) -> (Self, Parts, mpsc::Receiver<Incoming>) {
        let (declare, declarations) = mpsc::channel(DECLARATIONS_MAX);
        let (connected, watch) = watch::channel(false);
        let (publish, publications) = mpsc::channel(PUBLICATIONS_MAX);
        let (wish, sources) = watch::channel(Sources::default());
        let (incoming, heard) = mpsc::channel(INCOMING_MAX);
        let broker = Self { declarations: declare, publications: publish, sources: Arc::new(wish), connected: watch };
        let publications = Arc::new(Mutex::new(publications));
        let parts =
            Parts { settings, core, store, metrics, trusted, outbox, declarations, publications, sources, incoming, connected };
        (broker, parts, heard)
    }

    /// Whether there is a session.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    /// Consumes these sources from now on, and no others.
    pub fn consume(&self, sources: Sources) {
        self.sources.send_if_modified(|before| {
            let changed = *before != sources;
            *before = sources;
            changed
        });
    }

    /// Publishes a message of a workflow and returns once RabbitMQ has confirmed it. The queue or exchange is declared where
    /// it is missing. When the connection breaks meanwhile, the message is sent again with the same id.
    ///
    /// # Errors
    /// [`BrokerError::Away`] when there is no connection for some time; what the broker says otherwise.
    pub async fn publish(&self, target: &EventSource, message_id: &str, body: &str) -> Result<(), BrokerError> {
        let give_up = Instant::now() + PUBLISH_WAIT_MAX;
        let mut connected = self.connected.clone();
        loop {
            let there = {
                let waited = tokio::time::timeout_at(give_up, connected.wait_for(|connected| *connected)).await;
                matches!(waited, Ok(Ok(_)))
            };
            if !there {
                return Err(BrokerError::Away);
            }
            let (reply, answer) = oneshot::channel();
            let publication =
                Publication { target: target.clone(), message_id: message_id.to_owned(), body: body.to_owned(), reply };
            self.publications.send(publication).await.map_err(|_| BrokerError::Away)?;
            match tokio::time::timeout_at(give_up, answer).await {
                Ok(Ok(answer)) => return answer,
                // The session ended with the message on its way.
                Ok(Err(_)) => {}
                Err(_) => return Err(BrokerError::Away),
            }
        }
    }

    /// Declares an agent's queue and its binding.
    ///
    /// # Errors
    /// [`BrokerError::Away`] without a connection; what the broker says otherwise.
    pub async fn declare_agent_queue(&self, agent: &AgentId) -> Result<(), BrokerError> {
        self.agent_queue(agent, Wanted::There).await
    }

    /// Deletes the queue of an agent that is forgotten. Messages for it that come later are dropped.
    ///
    /// # Errors
    /// [`BrokerError::Away`] without a connection; what the broker says otherwise.
    pub async fn delete_agent_queue(&self, agent: &AgentId) -> Result<(), BrokerError> {
        self.agent_queue(agent, Wanted::Gone).await
    }

    async fn agent_queue(&self, agent: &AgentId, wanted: Wanted) -> Result<(), BrokerError> {
        if !self.is_connected() {
            return Err(BrokerError::Away);
        }
        let (reply, answer) = oneshot::channel();
        let declaration = Declaration { agent: agent.clone(), wanted, reply };
        self.declarations.send(declaration).await.map_err(|_| BrokerError::Away)?;
        answer.await.unwrap_or(Err(BrokerError::Away))
    }
}

impl Parts {
    fn queue_type(&self) -> QueueType {
        self.settings.queue_type
    }
}
