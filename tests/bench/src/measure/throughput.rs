//! Tasks per second from the first request to the last end.

use std::time::Duration;

use conductor_client::Client;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::runs::{finished, start, wait};
use crate::definitions::{BRANCHES, Step};
use crate::error::BenchError;
use crate::stack::{Part, Stack};
use crate::stats::median;

/// Requests on their way at once.
const POSTS_AT_ONCE: usize = 32;
/// Questions on their way at once when the records are read afterwards.
const READS_AT_ONCE: usize = 8;
/// How often the workflow that is waited for is looked at: rarely, since its record tells when it ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const ROUNDS: usize = 3;
/// How long one round is to take. A slow machine gets fewer tasks, not a longer wait.
const ROUND_S: f64 = 2.0;
/// Tasks of the round that goes before, which does not count.
const WARM_UP_TASKS: usize = 300;
/// Tasks of one round: enough for the start and the end not to matter, and a bound.
const ROUND_TASKS: std::ops::RangeInclusive<f64> = 300.0..=20_000.0;

/// What kind of workflows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Workflows of one task.
    Single,
    /// Workflows of [`BRANCHES`] tasks in parallel.
    Fork,
}

/// How fast it went.
#[derive(Clone, Copy, Debug)]
pub struct Throughput {
    /// Tasks per second: the median of some rounds.
    pub tasks_per_s: f64,
    /// Processor time per task of manager, agents (with plugins) and broker, over all rounds, in µs.
    pub cpu_us: [f64; 3],
}

const PARTS: [Part; 3] = [Part::Manager, Part::Agent, Part::Broker];

/// Runs some rounds of about [`ROUND_S`].
///
/// # Errors
/// When a workflow does not succeed.
pub async fn throughput(stack: &mut Stack, step: Step, shape: Shape) -> Result<Throughput, BenchError> {
    let (name, per_workflow) = match shape {
        Shape::Single => (step.single(), 1),
        Shape::Fork => (step.fork(BRANCHES), BRANCHES),
    };
    let warm = round(&stack.client, &name, WARM_UP_TASKS.div_ceil(per_workflow), per_workflow).await?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded right here")]
    let tasks = (warm * ROUND_S).clamp(*ROUND_TASKS.start(), *ROUND_TASKS.end()) as usize;
    let count = tasks.div_ceil(per_workflow);
    let before = PARTS.map(|part| stack.cpu_us(part));
    let mut rates = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        stack.check()?;
        rates.push(round(&stack.client, &name, count, per_workflow).await?);
    }
    let after = PARTS.map(|part| stack.cpu_us(part));
    let done = (ROUNDS * count * per_workflow) as f64;
    let cpu_us = std::array::from_fn(|part| (after[part] - before[part]) / done);
    Ok(Throughput { tasks_per_s: median(&rates), cpu_us })
}

async fn round(client: &Client, name: &str, count: usize, per_workflow: usize) -> Result<f64, BenchError> {
    let starts = stream::iter(0..count).map(|_| start(client, name)).buffered(POSTS_AT_ONCE);
    let started: Vec<_> = starts.try_collect().await?;
    for run in &started {
        wait(client, run.id, LOOK_EVERY).await?;
    }
    let reads = stream::iter(&started).map(|run| finished(client, run.id, false)).buffered(READS_AT_ONCE);
    let views: Vec<_> = reads.try_collect().await?;
    let begin_us = started.iter().map(|run| run.posted_us).min().unwrap_or_default();
    let end_us = views.iter().map(|view| view.end_time).max().unwrap_or_default() * 1000;
    Ok((count * per_workflow) as f64 / ((end_us - begin_us) as f64 / 1e6))
}
