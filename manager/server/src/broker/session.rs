//! Connecting, again and again, and what happens between.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::tcp::OwnedTLSConfig;
use lapin::uri::AMQPUri;
use lapin::{Connection, ConnectionProperties};
use tokio::sync::watch;

use super::publisher::Publisher;
use super::{BrokerError, Declaration, Parts, Wanted, consumers, events, topology};
use crate::accounts::broker_authority;
use crate::app::core::Message;

/// Frame size asked for. An explicit one also keeps lapin from reserving megabytes of buffers.
const FRAME_BYTES_MAX: u32 = 131_072;
/// Seconds between heartbeats.
const HEARTBEAT_S: u16 = 30;
/// Longest wait for a connection to come up.
const CONNECT_WAIT_MAX: Duration = Duration::from_secs(15);
/// Longest pause before another try; the pause is drawn between nothing and a bound that doubles up to this.
const PAUSE_MAX: Duration = Duration::from_secs(5);
const PAUSE_FIRST: Duration = Duration::from_millis(200);

impl Parts {
    /// Keeps a session with the broker until `shutdown` turns true.
    pub(crate) async fn run(mut self, mut shutdown: watch::Receiver<bool>) {
        let signer = Arc::clone(&self.trusted.signer);
        let mut publisher = Publisher::new(self.settings.confirm_window, self.metrics.clone(), self.core.clone(), signer);
        let mut bound = PAUSE_FIRST;
        loop {
            let result = tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return,
                result = self.session(&mut publisher) => result,
            };
            if self.connected.send_replace(false) {
                bound = PAUSE_FIRST;
                self.core.tell(Message::BrokerConnected(false));
            }
            self.metrics.broker_connected.set(0);
            publisher.connection_lost();
            let Err(error) = result else { continue };
            let pause = bound.mul_f64(rand::random());
            tracing::warn!(broker = %self.settings.url, error = %error, pause_ms = pause.as_millis(), "no session with RabbitMQ; trying again");
            bound = (bound * 2).min(PAUSE_MAX);
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return,
                () = self.refuse_declarations(pause) => {}
            }
        }
    }

    /// Waits, and tells those who want a queue declared that there is no connection.
    async fn refuse_declarations(&mut self, pause: Duration) {
        let refuse = async {
            while let Some(Declaration { reply, .. }) = self.declarations.recv().await {
                let _ = reply.send(Err(BrokerError::Away));
            }
            std::future::pending::<()>().await;
        };
        let _ = tokio::time::timeout(pause, refuse).await;
    }

    /// One session, from connecting to the first failure.
    async fn session(&mut self, publisher: &mut Publisher) -> Result<(), lapin::Error> {
        let url = self.settings.url.expose();
        let authority = broker_authority(self.settings.ca_file.as_deref(), &self.trusted.authority_pem)?;
        let publishing = Arc::new(connect(url, "manager: publishing", &authority).await?);
        let consuming = Arc::new(connect(url, "manager: consuming", &authority).await?);
        let declaring = publishing.create_channel().await?;
        topology::declare_shared(&declaring, self.queue_type()).await?;
        let channel = publishing.create_channel().await?;
        channel.confirm_select(lapin::options::ConfirmSelectOptions::default()).await?;
        let mut consumers = consumers::start(&consuming, self).await?;
        consumers.spawn(events::publisher(Arc::clone(&publishing), Arc::clone(&self.publications)));
        consumers.spawn(events::consume(Arc::clone(&consuming), self.sources.clone(), self.incoming.clone()));
        let mut events = publishing.events_listener();
        let mut consuming_events = consuming.events_listener();
        self.trusted.accounts.broker_came_back();
        self.connected.send_replace(true);
        self.metrics.broker_connected.set(1);
        self.core.tell(Message::BrokerConnected(true));
        tracing::info!(broker = %self.settings.url, "connected to RabbitMQ");
        loop {
            publisher.publish(&channel).await?;
            tokio::select! {
                biased;
                Some(event) = events.next() => self.connection_event(event)?,
                Some(event) = consuming_events.next() => self.connection_event(event)?,
                Some(ended) = consumers.join_next() => {
                    return ended.unwrap_or_else(|_| Err(std::io::Error::other("a consumer ended").into()));
                }
                Some(Declaration { agent, wanted, reply }) = self.declarations.recv() => {
                    let (action, result) = match wanted {
                        Wanted::There => {
                            publisher.remember(&agent);
                            ("declare the agent's queue", topology::declare_agent(&declaring, &agent).await)
                        }
                        Wanted::Gone => {
                            publisher.forget(agent.clone(), &self.core);
                            ("delete the agent's queue", topology::delete_agent(&declaring, &agent).await)
                        }
                    };
                    let answer = match &result {
                        Ok(()) => Ok(()),
                        Err(error) => Err(BrokerError::Refused { action, message: error.to_string() }),
                    };
                    let _ = reply.send(answer);
                    result?;
                }
                confirmed = publisher.next_confirm(), if publisher.is_waiting() => {
                    if let Some(agent) = publisher.settle(confirmed, &self.core)? {
                        topology::declare_agent(&declaring, &agent).await?;
                    }
                }
                message = self.outbox.recv() => match message {
                    Some(message) => {
                        publisher.queue(message);
                        while let Ok(message) = self.outbox.try_recv() {
                            publisher.queue(message);
                        }
                    }
                    None => return Ok(()),
                },
            }
        }
    }

    fn connection_event(&self, event: lapin::Event) -> Result<(), lapin::Error> {
        match event {
            lapin::Event::ConnectionBlocked(reason) => {
                tracing::warn!(%reason, "RabbitMQ is short of resources and takes no messages; they wait here");
                self.metrics.broker_blocked.set(1);
                Ok(())
            }
            lapin::Event::ConnectionUnblocked => {
                tracing::info!("RabbitMQ takes messages again");
                self.metrics.broker_blocked.set(0);
                Ok(())
            }
            lapin::Event::Error(error) => Err(error),
            _ => Ok(()),
        }
    }
}

pub(super) async fn connect(url: &str, name: &str, authority: &str) -> Result<Connection, lapin::Error> {
    let mut uri: AMQPUri = url.parse().map_err(std::io::Error::other)?;
    uri.query.frame_max = Some(FRAME_BYTES_MAX);
    uri.query.heartbeat = Some(HEARTBEAT_S);
    uri.query.connection_timeout = Some(u64::try_from(CONNECT_WAIT_MAX.as_millis()).unwrap_or(u64::MAX));
    let properties = ConnectionProperties::default()
        .with_connection_name(name.into())
        .configure_backoff(|backoff| backoff.with_max_times(0));
    let runtime = lapin::runtime::default_runtime().map_err(std::io::Error::other)?;
    let tls = OwnedTLSConfig { identity: None, cert_chain: Some(authority.to_owned()) };
    let connecting = Connection::connect_uri_with_config(uri, properties, tls, runtime);
    match tokio::time::timeout(CONNECT_WAIT_MAX, connecting).await {
        Ok(result) => result,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}
