//! Messages of workflows: published with confirms, consumed with acknowledgements after they were handled.
//!
//! A queue or exchange that cannot be declared as wished closes the channel that tried, so that each has one of its own:
//! a mistake in one definition disturbs nobody else.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ExchangeKind};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::source::{EventSource, Exchange};
use super::{BrokerError, Ended};

/// Messages taken ahead of their acknowledgement, for each source.
const PREFETCH: u16 = 16;
/// Messages published and not confirmed yet at once.
const CONFIRMS_MAX: usize = 256;
/// A source that cannot be consumed is tried again after this pause; so is a message that could not be handled.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// What is consumed: the event's name as handlers write it → where it comes from.
pub type Sources = Arc<BTreeMap<String, EventSource>>;

/// A message to publish.
#[derive(Debug)]
pub(super) struct Publication {
    pub(super) target: EventSource,
    pub(super) message_id: String,
    pub(super) body: String,
    pub(super) reply: oneshot::Sender<Result<(), BrokerError>>,
}

/// What becomes of a message that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It is done with.
    Done,
    /// It cannot be handled now: it comes again.
    Again,
    /// Nobody can read it: it goes where the queue's owner sends such messages, or nowhere.
    Unreadable,
}

/// A message that came.
#[derive(Debug)]
pub struct Incoming {
    /// The event's name, as handlers write it.
    pub event: String,
    /// The publisher's id for it, where it gave one.
    pub message_id: Option<String>,
    /// The message.
    pub body: Vec<u8>,
    /// What becomes of it. Dropped = it comes again.
    pub settle: oneshot::Sender<Settlement>,
}

/// Publishes what comes, as long as the connection lives.
pub(super) async fn publisher(connection: Arc<Connection>, publications: Arc<Mutex<mpsc::Receiver<Publication>>>) -> Ended {
    let mut publications = publications.lock().await;
    let mut channel = confirming(&connection).await?;
    let mut declared: HashSet<EventSource> = HashSet::new();
    let mut confirms = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some((reply, confirmed)) = confirms.next(), if !confirms.is_empty() => {
                let reply: oneshot::Sender<Result<(), BrokerError>> = reply;
                let answer = answer(confirmed);
                if answer.is_err() {
                    declared.clear();
                }
                let _ = reply.send(answer);
            }
            publication = publications.recv(), if confirms.len() < CONFIRMS_MAX => {
                let Some(Publication { target, message_id, body, reply }) = publication else { return Ok(()) };
                if !channel.status().connected() {
                    channel = confirming(&connection).await?;
                    declared.clear();
                }
                if !declared.contains(&target) {
                    if let Err(error) = declare(&connection, &target, false).await {
                        let _ = reply.send(Err(refused("declare", &error)));
                        continue;
                    }
                    declared.insert(target.clone());
                }
                match send(&channel, &target, &message_id, &body).await {
                    Ok(confirm) => confirms.push(async move { (reply, confirm.await) }),
                    Err(error) => {
                        let _ = reply.send(Err(refused("publish", &error)));
                    }
                }
            }
        }
    }
}

async fn confirming(connection: &Connection) -> Result<Channel, lapin::Error> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

async fn send(
    channel: &Channel,
    target: &EventSource,
    message_id: &str,
    body: &str,
) -> Result<lapin::PublisherConfirm, lapin::Error> {
    let (exchange, key) = match &target.exchange {
        None => ("", target.name.as_str()),
        Some(Exchange { routing_key, .. }) => (target.name.as_str(), routing_key.as_str()),
    };
    let properties = BasicProperties::default()
        .with_content_type("application/json".into())
        .with_message_id(message_id.into())
        .with_delivery_mode(if target.persistent { 2 } else { 1 });
    // A queue must be there; an exchange to which nobody listens is no fault.
    let options = BasicPublishOptions { mandatory: target.exchange.is_none(), ..BasicPublishOptions::default() };
    channel.basic_publish(exchange.into(), key.into(), options, body.as_bytes(), properties).await
}

fn answer(confirmed: Result<Confirmation, lapin::Error>) -> Result<(), BrokerError> {
    match confirmed {
        Ok(Confirmation::Ack(None) | Confirmation::NotRequested) => Ok(()),
        Ok(Confirmation::Ack(Some(_))) => {
            Err(BrokerError::Refused { action: "deliver the message", message: "the queue is not there any more".to_owned() })
        }
        Ok(Confirmation::Nack(_)) => {
            Err(BrokerError::Refused { action: "take the message", message: "it was not acknowledged".to_owned() })
        }
        Err(error) => Err(refused("publish", &error)),
    }
}

fn refused(action: &'static str, error: &lapin::Error) -> BrokerError {
    BrokerError::Refused { action, message: error.to_string() }
}

/// Makes sure that a queue or exchange is there, on a channel of its own. To consume from an exchange, its queue is bound.
async fn declare(connection: &Connection, source: &EventSource, consume: bool) -> Result<Channel, lapin::Error> {
    let channel = connection.create_channel().await?;
    let queue = QueueDeclareOptions {
        durable: source.durable,
        exclusive: source.exclusive,
        auto_delete: source.auto_delete,
        ..QueueDeclareOptions::default()
    };
    let mut arguments = FieldTable::default();
    if let Some(priorities) = source.max_priority {
        arguments.insert("x-max-priority".into(), AMQPValue::LongInt(i32::from(priorities)));
    }
    let Some(exchange) = &source.exchange else {
        channel.queue_declare(source.name.as_str().into(), queue, arguments).await?;
        return Ok(channel);
    };
    let kind = match exchange.kind.as_str() {
        "direct" => ExchangeKind::Direct,
        "fanout" => ExchangeKind::Fanout,
        "headers" => ExchangeKind::Headers,
        _ => ExchangeKind::Topic,
    };
    let options = ExchangeDeclareOptions {
        durable: source.durable,
        auto_delete: source.auto_delete,
        ..ExchangeDeclareOptions::default()
    };
    channel.exchange_declare(source.name.as_str().into(), kind, options, FieldTable::default()).await?;
    if consume {
        let name = source.queue();
        channel.queue_declare(name.as_str().into(), queue, arguments).await?;
        let (from, key) = (source.name.as_str().into(), exchange.routing_key.as_str().into());
        channel.queue_bind(name.as_str().into(), from, key, QueueBindOptions::default(), FieldTable::default()).await?;
    }
    Ok(channel)
}

/// Consumes what is wished for, and changes over when the wishes change.
pub(super) async fn consume(
    connection: Arc<Connection>,
    mut wishes: watch::Receiver<Sources>,
    incoming: mpsc::Sender<Incoming>,
) -> Ended {
    let mut tasks = JoinSet::new();
    let mut running: HashMap<String, (EventSource, tokio::task::AbortHandle)> = HashMap::new();
    loop {
        let wished = Arc::clone(&wishes.borrow_and_update());
        running.retain(|event, (source, task)| {
            let keep = wished.get(event) == Some(source);
            if !keep {
                task.abort();
            }
            keep
        });
        for (event, source) in wished.iter() {
            if !running.contains_key(event) {
                let task = listen(Arc::clone(&connection), event.clone(), source.clone(), incoming.clone());
                running.insert(event.clone(), (source.clone(), tasks.spawn(task)));
            }
        }
        tokio::select! {
            changed = wishes.changed() => if changed.is_err() { return Ok(()) },
            Some(_) = tasks.join_next() => {}
        }
    }
}

/// Listens to one source until the task is aborted.
async fn listen(connection: Arc<Connection>, event: String, source: EventSource, incoming: mpsc::Sender<Incoming>) {
    loop {
        if let Err(error) = listen_once(&connection, &event, &source, &incoming).await {
            tracing::warn!(%event, %error, "events cannot be consumed; trying again");
        }
        tokio::time::sleep(AGAIN_AFTER).await;
    }
}

/// Closes a channel when its listener ends, however that comes: RabbitMQ gives what was not acknowledged to others.
struct Closing(Option<Channel>);

impl Drop for Closing {
    fn drop(&mut self) {
        if let Some(channel) = self.0.take() {
            tokio::spawn(async move {
                let _ = channel.close(200, "not wished for any more".into()).await;
            });
        }
    }
}

async fn listen_once(
    connection: &Connection,
    event: &str,
    source: &EventSource,
    incoming: &mpsc::Sender<Incoming>,
) -> Result<(), lapin::Error> {
    let channel = declare(connection, source, true).await?;
    let _closing = Closing(Some(channel.clone()));
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
    let queue = source.queue();
    let options = BasicConsumeOptions { exclusive: source.exclusive, ..BasicConsumeOptions::default() };
    let mut consumer = channel.basic_consume(queue.as_str().into(), "".into(), options, FieldTable::default()).await?;
    // Settled in their order: most come and go one by one, and order is what a queue is for.
    while let Some(delivery) = consumer.next().await {
        let mut delivery: Delivery = delivery?;
        let (settle, settled) = oneshot::channel();
        let message = Incoming {
            event: event.to_owned(),
            message_id: delivery.properties.message_id().as_ref().map(ToString::to_string),
            body: std::mem::take(&mut delivery.data),
            settle,
        };
        if incoming.send(message).await.is_err() {
            return Ok(());
        }
        match settled.await.unwrap_or(Settlement::Again) {
            Settlement::Done => delivery.ack(BasicAckOptions::default()).await?,
            Settlement::Again => {
                tokio::time::sleep(AGAIN_AFTER).await;
                delivery.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() }).await?
            }
            Settlement::Unreadable => delivery.nack(BasicNackOptions::default()).await?,
        };
    }
    Ok(())
}
