//! Exchanges, queues and bindings. The manager declares all of them; agents have no right to.

use conductor_model::AgentId;
use conductor_wire::amqp;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable, LongString, ShortString};
use lapin::{Channel, ExchangeKind};

use crate::config::QueueType;

/// Leases that wait while the manager is away; older ones say nothing.
const LEASES_WAITING_MAX: i32 = 100_000;

fn declare_queue_options() -> QueueDeclareOptions {
    QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() }
}

fn queue_type(kind: QueueType) -> AMQPValue {
    let name = match kind {
        QueueType::Classic => "classic",
        QueueType::Quorum => "quorum",
    };
    AMQPValue::LongString(LongString::from(name))
}

/// Declares what all agents share. Nothing of it follows from a setting that may change: RabbitMQ refuses to declare a queue
/// that is there with other arguments. How long a lease is worth something stands on the message, therefore.
pub(super) async fn declare_shared(channel: &Channel, kind: QueueType) -> Result<(), lapin::Error> {
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    for exchange in [amqp::EXCHANGE_AGENTS, amqp::EXCHANGE_INBOUND] {
        channel.exchange_declare(exchange.into(), ExchangeKind::Direct, durable, FieldTable::default()).await?;
    }
    let mut leases = FieldTable::default();
    leases.insert("x-max-length".into(), AMQPValue::LongInt(LEASES_WAITING_MAX));
    let mut shared = FieldTable::default();
    shared.insert("x-queue-type".into(), queue_type(kind));
    let queues = [
        (amqp::QUEUE_RESULT, amqp::KEY_RESULT, shared.clone()),
        (amqp::QUEUE_LOG, amqp::KEY_LOG, shared),
        (amqp::QUEUE_LEASE, amqp::KEY_LEASE, leases),
    ];
    for (queue, key, arguments) in queues {
        channel.queue_declare(queue.into(), declare_queue_options(), arguments).await?;
        let bind = QueueBindOptions::default();
        channel.queue_bind(queue.into(), amqp::EXCHANGE_INBOUND.into(), key.into(), bind, FieldTable::default()).await?;
    }
    Ok(())
}

/// Declares one agent's queue.
pub(super) async fn declare_agent(channel: &Channel, agent: &AgentId) -> Result<(), lapin::Error> {
    let queue = ShortString::from(amqp::agent_queue(agent));
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), queue_type(QueueType::Classic));
    channel.queue_declare(queue.clone(), declare_queue_options(), arguments).await?;
    let exchange = amqp::EXCHANGE_AGENTS.into();
    channel.queue_bind(queue, exchange, agent.as_str().into(), QueueBindOptions::default(), FieldTable::default()).await
}

/// Deletes one agent's queue, with what is in it. One that is not there is gone already.
pub(super) async fn delete_agent(channel: &Channel, agent: &AgentId) -> Result<(), lapin::Error> {
    let queue = ShortString::from(amqp::agent_queue(agent));
    channel.queue_delete(queue, QueueDeleteOptions::default()).await.map(drop)
}
