//! One connection to RabbitMQ after the other, and what goes over it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use conductor_agent_core::TaskKey;
use conductor_wire::agent_api::AgentWelcome;
use conductor_wire::amqp::{EXCHANGE_INBOUND, KEY_LEASE, KEY_LOG, KEY_RESULT};
use conductor_wire::identity::broker_user;
use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, Consumer, Event};
use thiserror::Error;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::connect::connect;
use super::outbox::{LogBatch, Outbox, Settle};
use crate::clock;
use crate::identity::Identity;

/// Most messages that may be unconfirmed at once.
const WINDOW: usize = 64;
/// Longest wait for a connection, channels and consumer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest wait for the broker to say goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How the agent's consumer is called; one per queue.
const CONSUMER_TAG: &str = "agent";
/// Delivery mode of messages that the broker keeps on disk.
const PERSISTENT: u8 = 2;
/// Why a session ended.
#[derive(Debug, Error)]
pub enum SessionError {
    /// A step of the protocol failed.
    #[error("cannot {step}")]
    Broker {
        /// What was tried.
        step: &'static str,
        /// Why not.
        #[source]
        source: lapin::Error,
    },
    /// The broker does not answer.
    #[error("the broker did not answer within {} s", CONNECT_TIMEOUT.as_secs())]
    Timeout,
    /// The queue was taken away.
    #[error("the broker ended the consumer of {queue}")]
    ConsumerEnded {
        /// The queue.
        queue: String,
    },
}

/// What the session asks the agent.
pub trait Agent {
    /// A message came in. What becomes of it is said through the outbox.
    fn received(self: Rc<Self>, tag: u64, body: &[u8]);
    /// There is a connection: everything unconfirmed is to be said again.
    fn connected(self: Rc<Self>);
    /// The broker has confirmed these results.
    fn confirmed(self: Rc<Self>, results: Vec<TaskKey>);
    /// The broker did not take these results.
    fn unconfirmed(self: Rc<Self>, results: Vec<TaskKey>);
    /// The content of a lease as a message.
    fn lease_message(&self) -> Vec<u8>;
    /// Events as a message.
    fn report_message(&self, events: &[String]) -> Vec<u8>;
    /// Log lines as a message.
    fn log_message(&self, batch: &LogBatch) -> Vec<u8>;
    /// Who this agent is, where it has an identity of its own.
    fn identity(&self) -> Option<Identity>;
    /// Whether no more messages are to be taken.
    fn is_draining(&self) -> bool;
}

/// What a message on its way was about.
#[derive(Debug)]
enum Sent {
    Events(Vec<TaskKey>),
    Lines(LogBatch),
    Lease,
}

type Confirming = Pin<Box<dyn Future<Output = (u64, lapin::Result<Confirmation>)>>>;

struct Session<A> {
    agent: Rc<A>,
    outbox: Rc<Outbox>,
    consuming: Channel,
    publishing: Channel,
    consumer: Option<Consumer>,
    on_the_way: FuturesUnordered<Confirming>,
    /// What is on its way, by the number that its confirmation comes with.
    sent: BTreeMap<u64, Sent>,
    next_sent: u64,
    queue: String,
    user: Option<String>,
    /// How long a lease is worth something.
    lease_ms: u64,
}

/// Connects and serves until the connection ends; never returns without a reason, except `Ok` after `ended` resolved.
///
/// # Errors
/// Why the connection could not be made or did not last.
pub async fn serve<A: Agent + 'static>(
    agent: Rc<A>,
    outbox: Rc<Outbox>,
    welcome: &AgentWelcome,
    slots: u32,
    ended: impl Future<Output = ()>,
) -> Result<(), SessionError> {
    let opened = timeout(CONNECT_TIMEOUT, open(&agent, &outbox, welcome, slots));
    let (connection, mut session) = opened.await.map_err(|_| SessionError::Timeout)??;
    let events = connection.events_listener();
    outbox.connect();
    agent.clone().connected();
    tracing::info!(queue = %welcome.queue, "connected to the broker");
    let lease_every = Duration::from_millis(welcome.lease_interval_ms.max(100));
    let served = tokio::select! {
        served = session.run(events, lease_every) => served,
        () = ended => {
            drop(timeout(CLOSE_TIMEOUT, session.say_farewell()).await);
            Ok(())
        }
    };
    session.abandon();
    outbox.disconnect();
    drop(timeout(CLOSE_TIMEOUT, connection.close(200, "bye".into())).await);
    served
}

async fn open<A: Agent + 'static>(
    agent: &Rc<A>,
    outbox: &Rc<Outbox>,
    welcome: &AgentWelcome,
    slots: u32,
) -> Result<(Connection, Session<A>), SessionError> {
    let step = |step| move |source| SessionError::Broker { step, source };
    let connection = connect(welcome, agent.identity().as_ref()).await.map_err(step("connect to the broker"))?;
    let consuming = connection.create_channel().await.map_err(step("open a channel"))?;
    let publishing = connection.create_channel().await.map_err(step("open a channel"))?;
    publishing.confirm_select(ConfirmSelectOptions::default()).await.map_err(step("ask for confirms"))?;
    let prefetch = u16::try_from(slots).unwrap_or(u16::MAX).saturating_add(welcome.prefetch).max(1);
    consuming.basic_qos(prefetch, BasicQosOptions::default()).await.map_err(step("set the prefetch"))?;
    let consumer = if agent.is_draining() {
        None
    } else {
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumed = consuming.basic_consume(welcome.queue.as_str().into(), CONSUMER_TAG.into(), options, arguments);
        Some(consumed.await.map_err(step("consume the agent's queue"))?)
    };
    let (agent, outbox) = (agent.clone(), outbox.clone());
    let session = Session {
        agent,
        outbox,
        consuming,
        publishing,
        consumer,
        on_the_way: FuturesUnordered::new(),
        sent: BTreeMap::new(),
        next_sent: 0,
        queue: welcome.queue.clone(),
        // Where the agent has its own user, the broker vouches for it: nobody else can send in its name.
        user: welcome.own_account.then(|| broker_user(&welcome.id)),
        lease_ms: welcome.lease_ms,
    };
    Ok((connection, session))
}

/// What a session wakes up for.
enum Woken {
    Received(Delivery),
    ReceiveFailed(lapin::Error),
    ConsumerEnded,
    Confirmed(u64, lapin::Result<Confirmation>),
    Outbox,
    LeaseTime,
    Broker(Event),
}

impl<A: Agent + 'static> Session<A> {
    async fn run(&mut self, events: impl Stream<Item = Event>, lease_every: Duration) -> Result<(), SessionError> {
        let mut events = std::pin::pin!(events);
        let mut lease = interval(lease_every);
        lease.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let woken = tokio::select! {
                biased;
                Some((number, confirmation)) = self.on_the_way.next(), if !self.on_the_way.is_empty() => {
                    Woken::Confirmed(number, confirmation)
                }
                delivery = next_delivery(&mut self.consumer) => delivery,
                () = self.outbox.wait() => Woken::Outbox,
                _ = lease.tick() => Woken::LeaseTime,
                Some(event) = events.next() => Woken::Broker(event),
            };
            match woken {
                Woken::Received(delivery) => self.agent.clone().received(delivery.delivery_tag, &delivery.data),
                Woken::ReceiveFailed(source) => {
                    return Err(SessionError::Broker { step: "consume the agent's queue", source });
                }
                Woken::ConsumerEnded if self.agent.is_draining() => self.consumer = None,
                Woken::ConsumerEnded => return Err(SessionError::ConsumerEnded { queue: self.queue.clone() }),
                Woken::Confirmed(number, confirmation) => self.confirmed(number, confirmation)?,
                Woken::Outbox => {}
                Woken::LeaseTime => self.outbox.renew_lease(),
                Woken::Broker(event) => heed(event)?,
            }
            self.stop_consuming_if_draining().await?;
            self.settle().await?;
            self.publish().await?;
        }
    }

    /// Says a last lease, so that the manager hears of the end before it counts on this agent again, and waits until the broker
    /// has everything that is on its way.
    async fn say_farewell(&mut self) -> Result<(), SessionError> {
        self.outbox.renew_lease();
        self.publish().await?;
        while let Some((number, confirmation)) = self.on_the_way.next().await {
            self.confirmed(number, confirmation)?;
        }
        Ok(())
    }

    fn confirmed(&mut self, number: u64, confirmation: lapin::Result<Confirmation>) -> Result<(), SessionError> {
        let Some(sent) = self.sent.remove(&number) else { return Ok(()) };
        let taken = match confirmation {
            Ok(Confirmation::Ack(None)) => true,
            Ok(Confirmation::Ack(Some(returned))) => {
                tracing::warn!(reason = %returned.reply_text, "the broker has no queue for a message to the manager");
                false
            }
            Ok(Confirmation::Nack(_) | Confirmation::NotRequested) => {
                tracing::warn!("the broker did not take a message to the manager");
                false
            }
            Err(source) => {
                self.not_taken(sent);
                return Err(SessionError::Broker { step: "publish", source });
            }
        };
        if !taken {
            self.not_taken(sent);
            return Ok(());
        }
        match sent {
            Sent::Events(results) if results.is_empty() => {}
            Sent::Events(results) => self.agent.clone().confirmed(results),
            Sent::Lines(batch) => self.outbox.lines_confirmed(&batch),
            Sent::Lease => {}
        }
        Ok(())
    }

    fn not_taken(&self, sent: Sent) {
        match sent {
            Sent::Events(results) => self.agent.clone().unconfirmed(results),
            Sent::Lines(batch) => self.outbox.lines_unconfirmed(batch),
            Sent::Lease => {}
        }
    }

    /// The connection is gone; what was on its way may or may not have arrived.
    fn abandon(&mut self) {
        self.on_the_way.clear();
        for (_, sent) in std::mem::take(&mut self.sent).into_iter().rev() {
            match sent {
                Sent::Lines(batch) => self.outbox.lines_unconfirmed(batch),
                // The ledger has the results, and the next connection begins with a lease.
                Sent::Events(_) | Sent::Lease => {}
            }
        }
    }

    async fn stop_consuming_if_draining(&mut self) -> Result<(), SessionError> {
        if self.consumer.is_some() && self.agent.is_draining() {
            self.consumer = None;
            let cancelled = self.consuming.basic_cancel(CONSUMER_TAG.into(), BasicCancelOptions::default());
            cancelled.await.map_err(|source| SessionError::Broker { step: "stop consuming", source })?;
        }
        Ok(())
    }

    /// Sends receipts, several acknowledgements in a row as one.
    async fn settle(&mut self) -> Result<(), SessionError> {
        let settles = self.outbox.take_settles();
        for (at, settle) in settles.iter().enumerate() {
            let done = match *settle {
                Settle::Ack(_) if matches!(settles.get(at + 1), Some(Settle::Ack(_))) => continue,
                // Messages are settled in the order in which they came.
                Settle::Ack(tag) => self.consuming.basic_ack(tag, BasicAckOptions { multiple: true }).await,
                Settle::GiveBack(tag) => {
                    self.consuming.basic_nack(tag, BasicNackOptions { multiple: false, requeue: true }).await
                }
                Settle::Drop(tag) => self.consuming.basic_nack(tag, BasicNackOptions { multiple: false, requeue: false }).await,
            };
            done.map_err(|source| SessionError::Broker { step: "acknowledge a message", source })?;
        }
        Ok(())
    }

    /// Sends what waits, as far as the window allows: what came together meanwhile goes together.
    async fn publish(&mut self) -> Result<(), SessionError> {
        if self.outbox.take_lease_due() {
            let message = self.agent.lease_message();
            self.send(KEY_LEASE, &message, Sent::Lease).await?;
        }
        while self.on_the_way.len() < WINDOW {
            let Some(batch) = self.outbox.take_lines() else { break };
            let message = self.agent.log_message(&batch);
            self.send(KEY_LOG, &message, Sent::Lines(batch)).await?;
        }
        while self.on_the_way.len() < WINDOW {
            let (events, results) = self.outbox.take_events();
            if events.is_empty() {
                break;
            }
            let message = self.agent.report_message(&events);
            self.send(KEY_RESULT, &message, Sent::Events(results)).await?;
        }
        Ok(())
    }

    async fn send(&mut self, key: &'static str, message: &[u8], sent: Sent) -> Result<(), SessionError> {
        let mut properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT)
            .with_timestamp(u64::try_from(clock::now().0 / 1000).unwrap_or(0));
        if let Some(user) = &self.user {
            properties = properties.with_user_id(user.as_str().into());
        }
        if matches!(sent, Sent::Lease) {
            // An old lease says nothing: it must not make an agent look alive to a manager that comes back.
            properties = properties.with_expiration(self.lease_ms.to_string().into());
        }
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let published = self.publishing.basic_publish(EXCHANGE_INBOUND.into(), key.into(), options, message, properties).await;
        match published {
            Ok(confirm) => {
                let number = self.next_sent;
                self.next_sent += 1;
                self.sent.insert(number, sent);
                self.on_the_way.push(Box::pin(async move { (number, confirm.await) }));
                Ok(())
            }
            Err(source) => {
                self.not_taken(sent);
                Err(SessionError::Broker { step: "publish", source })
            }
        }
    }
}

async fn next_delivery(consumer: &mut Option<Consumer>) -> Woken {
    let Some(consumer) = consumer else { return std::future::pending().await };
    match consumer.next().await {
        Some(Ok(delivery)) => Woken::Received(delivery),
        Some(Err(error)) => Woken::ReceiveFailed(error),
        None => Woken::ConsumerEnded,
    }
}

fn heed(event: Event) -> Result<(), SessionError> {
    match event {
        Event::ConnectionBlocked(reason) => {
            tracing::warn!(reason, "the broker takes no messages at present; results are kept");
        }
        Event::ConnectionUnblocked => tracing::info!("the broker takes messages again"),
        Event::Error(source) => return Err(SessionError::Broker { step: "keep the connection", source }),
        _ => {}
    }
    Ok(())
}
