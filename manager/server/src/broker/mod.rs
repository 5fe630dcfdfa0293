//! Outbox → RabbitMQ with confirms; RabbitMQ → events. The only module of the manager that names lapin.
//!
//! One session lives as long as both its connections: one publishes, one consumes, because a broker that is short of
//! memory stops reading from those who publish. When either fails, the session ends, what was not confirmed goes back to
//! the front of the queue, and another session is begun after a pause with full jitter, without end.

mod consumers;
mod publisher;
mod session;
mod topology;

use std::sync::Arc;

use conductor_model::AgentId;
use conductor_store::{OutboxMessage, Store};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};

use crate::app::core::CoreHandle;
use crate::app::metrics::Metrics;
use crate::config::{BrokerSettings, QueueType};

/// Declarations that may wait at once; more callers wait for their turn.
const DECLARATIONS_MAX: usize = 1024;

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
    connected: watch::Receiver<bool>,
}

/// A request to declare an agent's queue.
#[derive(Debug)]
struct Declaration {
    agent: AgentId,
    reply: oneshot::Sender<Result<(), BrokerError>>,
}

/// What a session works with.
pub(crate) struct Parts {
    settings: BrokerSettings,
    core: CoreHandle,
    store: Arc<dyn Store>,
    metrics: Metrics,
    lease_ms: u32,
    pub(crate) outbox: mpsc::UnboundedReceiver<OutboxMessage>,
    declarations: mpsc::Receiver<Declaration>,
    connected: watch::Sender<bool>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Broker {
    /// The handle, and what [`Parts::run`] needs.
    pub(crate) fn new(
        settings: BrokerSettings,
        lease_ms: u32,
        core: CoreHandle,
        store: Arc<dyn Store>,
        metrics: Metrics,
        outbox: mpsc::UnboundedReceiver<OutboxMessage>,
    ) -> (Self, Parts) {
        let (declare, declarations) = mpsc::channel(DECLARATIONS_MAX);
        let (connected, watch) = watch::channel(false);
        let broker = Self { declarations: declare, connected: watch };
        (broker, Parts { settings, core, store, metrics, lease_ms, outbox, declarations, connected })
    }

    /// Whether there is a session.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    /// Declares an agent's queue and its binding.
    ///
    /// # Errors
    /// [`BrokerError::Away`] without a connection; what the broker says otherwise.
    pub async fn declare_agent_queue(&self, agent: &AgentId) -> Result<(), BrokerError> {
        if !self.is_connected() {
            return Err(BrokerError::Away);
        }
        let (reply, answer) = oneshot::channel();
        let declaration = Declaration { agent: agent.clone(), reply };
        self.declarations.send(declaration).await.map_err(|_| BrokerError::Away)?;
        answer.await.unwrap_or(Err(BrokerError::Away))
    }
}

impl Parts {
    fn queue_type(&self) -> QueueType {
        self.settings.queue_type
    }
}
