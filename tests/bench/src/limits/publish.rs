//! Confirmed publishes: durable classic queue, persistent messages, a window of unconfirmed ones, no consumer.

use std::time::Instant;

use futures_util::stream::{FuturesUnordered, StreamExt};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

use super::ROUNDS;
use crate::error::BenchError;
use crate::stats::median;

const QUEUE: &str = "bench.limit";
const MESSAGES: usize = 8_000;
const MESSAGE_BYTES: usize = 512;
const WINDOW: usize = 200;
/// Delivery mode of a message that survives the broker's restart.
const PERSISTENT: u8 = 2;

/// How many messages RabbitMQ takes and confirms in a second from one connection.
///
/// # Errors
/// When RabbitMQ refuses.
pub async fn publishes_per_s(amqp: &str) -> Result<f64, BenchError> {
    let connection = Connection::connect(amqp, ConnectionProperties::default()).await;
    let connection = connection.map_err(BenchError::broker("connect to RabbitMQ"))?;
    let channel = connection.create_channel().await.map_err(BenchError::broker("open a channel"))?;
    let result = rounds(&channel).await;
    let deleted = channel.queue_delete(QUEUE.into(), QueueDeleteOptions::default()).await;
    connection.close(200, "done".into()).await.map_err(BenchError::broker("close the connection"))?;
    deleted.map_err(BenchError::broker("delete the queue"))?;
    result
}

async fn rounds(channel: &Channel) -> Result<f64, BenchError> {
    let failed = || BenchError::broker("prepare a queue");
    channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(failed())?;
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(QUEUE.into(), durable, FieldTable::default()).await.map_err(failed())?;
    let mut rates = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        rates.push(round(channel).await.map_err(BenchError::broker("publish"))?);
        channel.queue_purge(QUEUE.into(), QueuePurgeOptions::default()).await.map_err(failed())?;
    }
    Ok(median(&rates))
}

async fn round(channel: &Channel) -> Result<f64, lapin::Error> {
    let body = [b'x'; MESSAGE_BYTES];
    let begin = Instant::now();
    let mut unconfirmed = FuturesUnordered::new();
    for _ in 0..MESSAGES {
        if unconfirmed.len() >= WINDOW
            && let Some(confirmed) = unconfirmed.next().await
        {
            confirmed?;
        }
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        unconfirmed.push(channel.basic_publish("".into(), QUEUE.into(), options, &body, properties).await?);
    }
    while let Some(confirmed) = unconfirmed.next().await {
        confirmed?;
    }
    Ok(MESSAGES as f64 / begin.elapsed().as_secs_f64())
}
