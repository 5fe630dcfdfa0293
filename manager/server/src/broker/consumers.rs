//! Messages from agents: reports and leases to the deciding thread, logs to the store.

use std::sync::Arc;
use std::time::Duration;

use conductor_model::{AgentId, Timestamp};
use conductor_wire::amqp::{self, FromAgent, FromAgentBody};
use conductor_wire::identity::broker_user;
use conductor_wire::{PROTOCOL, PROTOCOL_OLDEST};
use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, Connection, Consumer};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Ended, Parts, logs};
use crate::app::core::{CoreHandle, Message, Sender};
use crate::clock;

/// A report that could not be stored is asked for again after this pause.
pub(super) const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Starts the three consumers. Each ends only with a failure.
pub(super) async fn start(connection: &Connection, parts: &Parts) -> Result<JoinSet<Ended>, lapin::Error> {
    let prefetch = parts.settings.prefetch;
    let mut tasks = JoinSet::new();
    let (_, results) = consume(connection, amqp::QUEUE_RESULT, prefetch).await?;
    let (settled, settlements) = mpsc::unbounded_channel();
    let own_accounts = parts.trusted.accounts.are_own();
    tasks.spawn(reports(results, parts.core.clone(), settled, own_accounts));
    tasks.spawn(acknowledge(settlements));
    let (_, leases) = consume(connection, amqp::QUEUE_LEASE, prefetch).await?;
    tasks.spawn(renewals(leases, parts.core.clone(), own_accounts));
    let (_, lines) = consume(connection, amqp::QUEUE_LOG, prefetch).await?;
    tasks.spawn(logs::keep(lines, parts.core.clone(), Arc::clone(&parts.store), own_accounts));
    Ok(tasks)
}

async fn consume(connection: &Connection, queue: &str, prefetch: u16) -> Result<(Channel, Consumer), lapin::Error> {
    let channel = connection.create_channel().await?;
    channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let consumer = channel.basic_consume(queue.into(), "manager".into(), options, FieldTable::default()).await?;
    Ok((channel, consumer))
}

/// Reads a message; one that cannot be read is of no use to anybody and is dropped with a line in the log.
pub(super) fn read(delivery: &Delivery, own_accounts: bool) -> Option<(Sender, FromAgentBody)> {
    match serde_json::from_slice::<FromAgent>(&delivery.data) {
        Ok(message) if !(PROTOCOL_OLDEST..=PROTOCOL).contains(&message.protocol) => {
            tracing::warn!(agent = %message.agent, protocol = message.protocol, "message in an unsupported protocol dropped");
            None
        }
        Ok(message) if own_accounts && !is_vouched_for(delivery, &message.agent) => {
            let user = delivery.properties.user_id().as_ref().map(ShortString::as_str);
            tracing::error!(target: "audit", agent = %message.agent, user, "a message in another agent's name was dropped");
            None
        }
        Ok(message) => {
            let sender = Sender {
                agent: message.agent,
                incarnation: message.incarnation,
                clock_ahead_ms: clock_ahead(message.sent_at, clock::now()),
            };
            Some((sender, message.body))
        }
        Err(error) => {
            tracing::warn!(routing_key = %delivery.routing_key, %error, "unreadable message dropped");
            None
        }
    }
}

/// Whether RabbitMQ says that the agent itself sent this: it takes no message with another's user id.
fn is_vouched_for(delivery: &Delivery, agent: &AgentId) -> bool {
    delivery.properties.user_id().as_ref().is_some_and(|user| user.as_str() == broker_user(agent))
}

/// How far an agent's clock is ahead, as far as can be told: a message that lay in the queue looks like a clock behind.
/// Only a message from the future proves a difference.
fn clock_ahead(sent_at: Timestamp, now: Timestamp) -> i64 {
    sent_at.ms_since(now).max(0)
}

async fn reports(
    mut consumer: Consumer,
    core: CoreHandle,
    settled: mpsc::UnboundedSender<(Delivery, bool)>,
    own_accounts: bool,
) -> Ended {
    while let Some(delivery) = consumer.next().await {
        let mut delivery = delivery?;
        let settled = settled.clone();
        let message = read(&delivery, own_accounts);
        delivery.data = Vec::new();
        if let Some((from, FromAgentBody::Report { events })) = message {
            let settle = move |stored| {
                let _ = settled.send((delivery, stored));
            };
            core.tell(Message::Report { from, events, settled: Box::new(settle) });
        } else {
            let _ = settled.send((delivery, true));
        }
    }
    Err(ended("results"))
}

/// Acknowledges what is stored; asks again for what is not.
async fn acknowledge(mut settlements: mpsc::UnboundedReceiver<(Delivery, bool)>) -> Ended {
    while let Some((delivery, stored)) = settlements.recv().await {
        if stored {
            delivery.ack(BasicAckOptions::default()).await?;
        } else {
            tokio::time::sleep(AGAIN_AFTER).await;
            delivery.nack(BasicNackOptions { requeue: true, ..BasicNackOptions::default() }).await?;
        }
    }
    Err(ended("acknowledgements"))
}

async fn renewals(mut consumer: Consumer, core: CoreHandle, own_accounts: bool) -> Ended {
    while let Some(delivery) = consumer.next().await {
        let delivery = delivery?;
        if let Some((from, FromAgentBody::Lease(lease))) = read(&delivery, own_accounts) {
            core.tell(Message::Lease { from, lease });
        }
        delivery.ack(BasicAckOptions::default()).await?;
    }
    Err(ended("leases"))
}

pub(super) fn ended(what: &str) -> lapin::Error {
    std::io::Error::other(format!("RabbitMQ ended the consumer of {what}")).into()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// A message as RabbitMQ delivers it, of a sender that it vouches for nowhere.
    fn delivered(data: Vec<u8>) -> Delivery {
        Delivery::mock(1, amqp::EXCHANGE_INBOUND.into(), "any".into(), false, data)
    }

    #[test]
    fn what_an_old_agent_wrote_is_read_where_agents_share_a_user() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/wire/tests/fixtures/v1");
        let mut counted = Vec::new();
        for name in ["lease", "lease-idle", "report", "report-outcomes", "logs"] {
            let recorded = fs::read(folder.join(format!("from-agent.{name}.json"))).unwrap();
            let (sender, body) = read(&delivered(recorded.clone()), false).unwrap_or_else(|| panic!("{name} was dropped"));
            assert_eq!((sender.agent.as_str(), sender.incarnation.as_str()), ("agent-1", "0011223344556677"));
            counted.push(match body {
                FromAgentBody::Lease(lease) => (lease.tasks.len(), u64::from(lease.free_slots)),
                FromAgentBody::Report { events } => (events.len(), 0),
                FromAgentBody::Logs { lines, .. } => (lines.len(), lines.iter().map(|line| line.seq).sum()),
            });
            assert!(read(&delivered(recorded.clone()), true).is_none(), "{name}: nobody vouches for the sender");
            let text = String::from_utf8(recorded).unwrap();
            for protocol in [PROTOCOL_OLDEST - 1, PROTOCOL + 1] {
                let foreign = text.replacen("\"protocol\":1", &format!("\"protocol\":{protocol}"), 1);
                assert!(read(&delivered(foreign.into_bytes()), false).is_none(), "{name} in protocol {protocol}");
            }
        }
        assert_eq!(counted, [(2, 1), (0, 0), (4, 0), (10, 0), (3, 6)]);
    }
}
