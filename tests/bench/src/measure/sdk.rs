//! Workflows whose steps are done by polling workers.

use std::time::Duration;

use conductor_client::Client;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::runs::{finished, start, wait};
use super::workers::Workers;
use crate::definitions::{SDK_STEPS, sdk_task, sdk_workflow};
use crate::error::BenchError;
use crate::stack::Stack;
use crate::stats::median;

/// Requests that start workflows, on their way at once.
const POSTS_AT_ONCE: usize = 24;
/// Questions on their way at once when the records are read afterwards.
const READS_AT_ONCE: usize = 8;
const LOOK_EVERY: Duration = Duration::from_millis(50);
const ROUNDS: usize = 3;
/// How long one round is to take: so long that its beginning and its end, when few workflows run, hardly count.
const ROUND_S: f64 = 10.0;
const WARM_UP_WORKFLOWS: usize = 100;
const ROUND_WORKFLOWS: std::ops::RangeInclusive<f64> = 100.0..=10_000.0;
/// Hands of the one worker for each of the steps: some three hundred in all.
const HANDS: usize = 24;
/// Workers that take part in the round trip.
const ROUND_TRIP_WORKERS: usize = 100;
/// Workflows of one step that are started in a second while the round trip is taken, and for how long.
const ROUND_TRIP_PER_S: u64 = 300;
const ROUND_TRIP_COUNT: u64 = 1_500;

/// Workflows of [`SDK_STEPS`] steps in sequence, each of its own type, from the first request to the last end, per second.
///
/// # Errors
/// When one does not succeed.
pub async fn workflows_per_s(stack: &mut Stack) -> Result<f64, BenchError> {
    let types: Vec<String> = (0..SDK_STEPS).map(sdk_task).collect();
    let workers = Workers::start(&stack.ready, &types, 1, HANDS);
    let warm = round(&stack.client, WARM_UP_WORKFLOWS).await?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded right here")]
    let count = (warm * ROUND_S).clamp(*ROUND_WORKFLOWS.start(), *ROUND_WORKFLOWS.end()) as usize;
    let mut rates = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        stack.check()?;
        rates.push(round(&stack.client, count).await?);
    }
    workers.stop().await?;
    Ok(median(&rates))
}

async fn round(client: &Client, count: usize) -> Result<f64, BenchError> {
    let name = sdk_workflow(SDK_STEPS);
    let starts = stream::iter(0..count).map(|_| start(client, &name)).buffered(POSTS_AT_ONCE);
    let started: Vec<_> = starts.try_collect().await?;
    for run in started.iter().rev() {
        wait(client, run.id, LOOK_EVERY).await?;
    }
    let reads = stream::iter(&started).map(|run| finished(client, run.id, false)).buffered(READS_AT_ONCE);
    let views: Vec<_> = reads.try_collect().await?;
    let begin_us = started.iter().map(|run| run.posted_us).min().unwrap_or_default();
    let end_us = views.iter().map(|view| view.end_time).max().unwrap_or_default() * 1000;
    Ok(count as f64 / ((end_us - begin_us) as f64 / 1e6))
}

/// From having a task in hand to the answer to its update, in ms, of each task: a hundred workers wait, and workflows of one
/// step are started at a steady rate.
///
/// # Errors
/// When a worker or a workflow fails.
pub async fn round_trips_ms(stack: &mut Stack) -> Result<Vec<f64>, BenchError> {
    let workers = Workers::start(&stack.ready, &[sdk_task(0)], ROUND_TRIP_WORKERS, 1);
    let name = sdk_workflow(1);
    let begin = tokio::time::Instant::now();
    let client = &stack.client;
    let starts = stream::iter(0..ROUND_TRIP_COUNT).map(|number| {
        let (name, due) = (&name, begin + Duration::from_micros(number * 1_000_000 / ROUND_TRIP_PER_S));
        async move {
            tokio::time::sleep_until(due).await;
            start(client, name).await
        }
    });
    let started: Vec<_> = starts.buffered(POSTS_AT_ONCE).try_collect().await?;
    for run in &started {
        wait(client, run.id, LOOK_EVERY).await?;
    }
    stack.check()?;
    workers.stop().await
}
