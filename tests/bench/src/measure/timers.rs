//! How late timers fire when many are pending.

use std::time::Duration;

use conductor_client::{Client, StartRequest};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Map, json};

use super::runs::{finished, wait};
use crate::definitions::WAIT;
use crate::error::BenchError;
use crate::stack::Stack;

/// Workflows whose timer is far away.
const PENDING: usize = 10_000;
/// Workflows whose timer fires, spread over some seconds.
const FIRING: usize = 500;
/// How long those that fire wait, in seconds.
const WAIT_S: i64 = 3;
const POSTS_AT_ONCE: usize = 32;
const READS_AT_ONCE: usize = 8;
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// Starts of those that fire in a second.
const STARTS_PER_S: u64 = 200;

/// The latest of [`FIRING`] timers, in ms, while [`PENDING`] others wait.
///
/// # Errors
/// When a workflow does not succeed.
pub async fn late_ms(stack: &mut Stack) -> Result<f64, BenchError> {
    let client = &stack.client;
    let far = stream::iter(0..PENDING).map(|_| start(client, "1h")).buffered(POSTS_AT_ONCE);
    far.try_collect::<Vec<_>>().await?;
    let begin = tokio::time::Instant::now();
    let starts = stream::iter(0..FIRING as u64).map(|number| async move {
        tokio::time::sleep_until(begin + Duration::from_micros(number * 1_000_000 / STARTS_PER_S)).await;
        start(client, &format!("{WAIT_S}s")).await
    });
    let firing: Vec<_> = starts.buffered(POSTS_AT_ONCE).try_collect().await?;
    for id in &firing {
        wait(client, *id, LOOK_EVERY).await?;
    }
    let reads = stream::iter(&firing).map(|id| finished(client, *id, true)).buffered(READS_AT_ONCE);
    let views: Vec<_> = reads.try_collect().await?;
    let mut latest = 0_i64;
    for task in views.iter().flat_map(|view| &view.tasks) {
        latest = latest.max(task.end_time - task.scheduled_time - WAIT_S * 1000);
    }
    stack.check()?;
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of a few seconds")]
    Ok(latest as f64)
}

async fn start(client: &Client, duration: &str) -> Result<conductor_model::WorkflowId, BenchError> {
    let input = Map::from_iter([("duration".to_owned(), json!(duration))]);
    let request = StartRequest { name: WAIT.to_owned(), input, ..StartRequest::default() };
    client.start(&request).await.map_err(BenchError::client("starting a workflow"))
}
