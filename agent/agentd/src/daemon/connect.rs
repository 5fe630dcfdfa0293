//! Keeping the manager: registration and connection, again and again, without end.

use std::rc::Rc;
use std::time::Duration;

use conductor_boot::report;
use conductor_wire::PROTOCOL;
use conductor_wire::agent_api::{AgentHello, AgentWelcome};
use serde_json::{Map, Value};
use tokio::sync::watch;

use super::Daemon;
use crate::link::session;
use crate::rest::Backoff;
use crate::{clock, facts};

/// Longest wait between two attempts at registering or connecting.
const RETRY_MAX: Duration = Duration::from_secs(10);
/// An agent that waits tries so often within one lease: when RabbitMQ comes back for all, the manager counts leases at once.
const RETRIES_IN_LEASE: u64 = 4;
/// How often the facts are looked at.
const FACTS_EVERY: Duration = Duration::from_secs(30);

/// The longest wait by which the agent is surely back before its lease ends.
fn wait_max(welcome: &AgentWelcome) -> Duration {
    Duration::from_millis(welcome.lease_ms / RETRIES_IN_LEASE)
}

impl Daemon {
    async fn hello(&self) -> AgentHello {
        AgentHello {
            name: facts::hostname(),
            labels: self.labels(),
            facts: self.facts().await,
            slots: self.slots,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            incarnation: self.sender.incarnation.clone(),
        }
    }

    /// The facts as they are now. Programs among them run beside everything else.
    async fn facts(&self) -> Map<String, Value> {
        let (data_dir, facts_dir) = (self.settings.data_dir.clone(), self.settings.facts_dir.clone());
        let user = self.user.clone();
        match tokio::task::spawn_blocking(move || facts::collect_all(&data_dir, &user, &facts_dir)).await {
            Ok((facts, faults)) => {
                for fault in faults {
                    tracing::warn!(error = %report(&fault), "a fact of this host's owner is left out");
                }
                facts
            }
            Err(error) => {
                tracing::error!(%error, "the facts could not be collected");
                facts::collect(&self.settings.data_dir, &self.user)
            }
        }
    }

    /// Registers and connects until `ended` is set.
    pub(super) async fn keep_connected(self: Rc<Self>, mut ended: watch::Receiver<bool>) {
        let mut backoff = Backoff::new(RETRY_MAX);
        let mut known: Option<AgentWelcome> = None;
        while !*ended.borrow() {
            let hello = self.hello().await;
            match self.rest.register(&hello).await {
                Ok(welcome) => {
                    let offset = welcome.manager_time_ms - clock::now().0;
                    self.manager_offset_ms.set(offset);
                    self.task_key.replace(welcome.task_key.clone());
                    crate::link::note::write(&self.settings.data_dir, &welcome.amqp_url);
                    tracing::info!(manager = %self.settings.manager, "registered with the manager");
                    known = Some(welcome);
                }
                Err(error) => {
                    tracing::warn!(error = %report(&error), "the manager did not register this agent; asking again");
                }
            }
            // A manager that is away for a while is no reason to stay away from the broker.
            if let Some(welcome) = &known {
                let mut until_ended = ended.clone();
                let finish = async {
                    // An end of the sender means the same as the word itself.
                    drop(until_ended.wait_for(|ended| *ended).await);
                };
                let watching = tokio::task::spawn_local(self.clone().watch_facts(hello));
                let served = session::serve(self.clone(), self.outbox.clone(), welcome, self.slots, finish).await;
                watching.abort();
                match served {
                    Ok(()) => return,
                    Err(error) => tracing::warn!(error = %report(&error), "the connection to the broker ended"),
                }
                if self.was_connected() {
                    backoff.reset();
                }
            }
            let wait = known.as_ref().map_or(RETRY_MAX, wait_max).min(backoff.next_wait());
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = ended.changed() => {}
            }
        }
    }

    /// Whether anything came of the last connection.
    fn was_connected(&self) -> bool {
        self.connected_once.take()
    }

    /// Tells the manager when the host has changed.
    async fn watch_facts(self: Rc<Self>, mut told: AgentHello) {
        loop {
            tokio::time::sleep(FACTS_EVERY).await;
            let hello = self.hello().await;
            if hello.facts == told.facts && hello.labels == told.labels && hello.slots == told.slots {
                continue;
            }
            match self.rest.register(&hello).await {
                Ok(_) => told = hello,
                Err(error) => tracing::warn!(error = %report(&error), "changed facts could not be told; trying again"),
            }
        }
    }
}
