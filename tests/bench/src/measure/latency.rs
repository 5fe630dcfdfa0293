//! How long after a request the plugin runs, and how long until the workflow is over.

use std::time::Duration;

use conductor_client::Client;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::runs::{Started, finished, start, wait};
use crate::definitions::Step;
use crate::error::BenchError;

/// Samples at rest, and the least under load.
const SAMPLES: usize = 300;
/// The most under load.
const LOADED_SAMPLES_MAX: usize = 3_000;
/// How long the load lasts.
const LOAD: Duration = Duration::from_secs(6);
/// The first starts warm things up and do not count.
const WARM_UP: usize = 20;
const LOOK_EVERY: Duration = Duration::from_millis(7);
const READS_AT_ONCE: usize = 8;

/// Each sample in ms since its request was sent.
#[derive(Debug, Default)]
pub struct Latency {
    /// Until the manager's answer.
    pub answer_ms: Vec<f64>,
    /// Until the plugin's first instruction.
    pub start_ms: Vec<f64>,
    /// Until the end of the workflow, which is recorded in whole ms.
    pub workflow_ms: Vec<f64>,
}

/// One workflow after the other.
///
/// # Errors
/// When a workflow does not succeed.
pub async fn at_rest(client: &Client) -> Result<Latency, BenchError> {
    let mut latency = Latency::default();
    for sample in 0..SAMPLES + WARM_UP {
        let run = start(client, &Step::Stamp.single()).await?;
        wait(client, run.id, LOOK_EVERY).await?;
        if sample >= WARM_UP {
            latency.add(client, &run).await?;
        }
    }
    Ok(latency)
}

/// Workflows started at a steady rate, whatever becomes of those before: each one is load and sample.
///
/// # Errors
/// When a workflow does not succeed.
pub async fn under_load(client: &Client, starts_per_s: f64) -> Result<Latency, BenchError> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded right here")]
    let samples = ((starts_per_s * LOAD.as_secs_f64()) as usize).clamp(SAMPLES, LOADED_SAMPLES_MAX) + WARM_UP;
    let mut starts = JoinSet::new();
    let begin = Instant::now();
    for sample in 0..samples {
        sleep_until(begin + Duration::from_secs_f64(sample as f64 / starts_per_s)).await;
        let client = client.clone();
        starts.spawn(async move { (sample, start(&client, &Step::Stamp.single()).await) });
    }
    let mut runs = Vec::with_capacity(samples);
    for (sample, run) in starts.join_all().await {
        let run = run?;
        if sample >= WARM_UP {
            runs.push(run);
        }
    }
    for run in &runs {
        wait(client, run.id, LOOK_EVERY).await?;
    }
    let samples = stream::iter(&runs).map(|run| sample(client, run)).buffered(READS_AT_ONCE);
    let samples: Vec<_> = samples.try_collect().await?;
    let mut latency = Latency::default();
    samples.into_iter().for_each(|sample| latency.push(sample));
    Ok(latency)
}

/// What one run took in ms: answer, start, end.
async fn sample(client: &Client, run: &Started) -> Result<[f64; 3], BenchError> {
    let view = finished(client, run.id, true).await?;
    let began = view.tasks.first().and_then(|task| task.output_data.get("started_us")?.as_i64());
    let began = began.ok_or_else(|| BenchError::Shape {
        what: "the output of a measured task",
        reason: format!("started_us is missing in workflow {}", run.id),
    })?;
    let since = |us: i64| (us - run.posted_us) as f64 / 1000.0;
    Ok([run.answered_after_us as f64 / 1000.0, since(began), since(view.end_time * 1000)])
}

impl Latency {
    async fn add(&mut self, client: &Client, run: &Started) -> Result<(), BenchError> {
        self.push(sample(client, run).await?);
        Ok(())
    }

    fn push(&mut self, [answer, start, workflow]: [f64; 3]) {
        self.answer_ms.push(answer);
        self.start_ms.push(start);
        self.workflow_ms.push(workflow);
    }
}
