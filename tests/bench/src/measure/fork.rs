//! What a task costs in a small workflow and in a large one.

use std::time::{Duration, Instant};

use conductor_client::Client;

use super::runs::{finished, start, wait};
use crate::definitions::Step;
use crate::error::BenchError;
use crate::stats::median;

/// Tasks over all rounds of one size, as far as the bounds on rounds allow.
const TASKS: usize = 5_000;
const ROUNDS_MIN: usize = 5;
const ROUNDS_MAX: usize = 30;
/// No further round begins after this.
const TIME_MAX: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// µs per task of one workflow with that many parallel tasks, from its start to its end.
///
/// # Errors
/// When a workflow does not succeed.
pub async fn fork_task_us(client: &Client, branches: usize) -> Result<f64, BenchError> {
    let rounds = (TASKS / branches).clamp(ROUNDS_MIN, ROUNDS_MAX);
    let mut costs = Vec::with_capacity(rounds);
    let begin = Instant::now();
    while costs.is_empty() || (costs.len() < rounds && begin.elapsed() < TIME_MAX) {
        let run = start(client, &Step::Persistent.fork(branches)).await?;
        wait(client, run.id, LOOK_EVERY).await?;
        let view = finished(client, run.id, false).await?;
        costs.push((view.end_time - view.create_time) as f64 * 1000.0 / branches as f64);
    }
    Ok(median(&costs))
}
