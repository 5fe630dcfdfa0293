//! How fast the log of one task is taken, and how soon all of it can be read.

use std::time::{Duration, Instant};

use conductor_client::Client;
use serde_json::Value;

use super::runs::{finished, start, wait};
use crate::definitions::Step;
use crate::error::BenchError;
use crate::stats::median;

const ROUNDS: usize = 5;
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Longest wait for the last line.
const ARRIVE_MAX: Duration = Duration::from_secs(60);
const PAGE_LINES: usize = 10_000;

/// What became of the lines of one task.
#[derive(Clone, Copy, Debug)]
pub struct Flood {
    /// How fast the task could print, in MB/s.
    pub mb_per_s: f64,
    /// From the task's end until all of its log could be read, in ms; `NaN` where not all of it is kept.
    pub readable_after_ms: f64,
}

/// Has a task print, several times; the medians.
///
/// # Errors
/// When a workflow does not succeed, or a line is lost.
pub async fn flood(client: &Client, step: Step) -> Result<Flood, BenchError> {
    let (mut rates, mut delays) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let run = start(client, &step.single()).await?;
        wait(client, run.id, LOOK_EVERY).await?;
        let ended = Instant::now();
        let view = finished(client, run.id, true).await?;
        let task = view.tasks.first().ok_or(BenchError::Shape { what: "a workflow", reason: "it has no task".to_owned() })?;
        let number = |key: &str| task.output_data.get(key).and_then(Value::as_u64).unwrap_or_default();
        rates.push(number("bytes") as f64 / number("us") as f64);
        if step == Step::Flood {
            arrived(client, &task.task_id.to_string(), number("lines")).await?;
            delays.push(ended.elapsed().as_secs_f64() * 1000.0);
        }
    }
    Ok(Flood { mb_per_s: median(&rates), readable_after_ms: median(&delays) })
}

/// Reads the log until all lines are there.
async fn arrived(client: &Client, task: &str, lines: u64) -> Result<(), BenchError> {
    let end = Instant::now() + ARRIVE_MAX;
    let (mut seen, mut after) = (0, 0);
    while seen < lines {
        let page = client.task_logs(task, after, PAGE_LINES).await.map_err(BenchError::client("reading a log"))?;
        seen += page.lines.len() as u64;
        after = page.next_after;
        if Instant::now() >= end {
            let what = format!("line {lines} of a log, of which {seen} are there");
            return Err(BenchError::Late { what, limit: ARRIVE_MAX, detail: String::new() });
        }
        if page.lines.is_empty() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    Ok(())
}
