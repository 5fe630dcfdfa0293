//! Workflows that grow while they run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use conductor_client::StartRequest;
use serde_json::{Map, Value, json};

use super::part_rss_kb;
use super::runs::{finished, wait};
use super::workers::Workers;
use crate::definitions::{DYNAMIC_FORK, LOOP, sdk_task};
use crate::error::BenchError;
use crate::stack::{Part, Stack};

const BRANCHES: usize = 10_000;
/// Workers that do the branches.
const WORKERS: usize = 50;
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a wide dynamic fork takes.
#[derive(Clone, Copy, Debug)]
pub struct DynamicFork {
    /// From the start of the workflow to its end.
    pub seconds: f64,
    /// The most memory that the manager was seen with meanwhile.
    pub rss_kb: f64,
}

/// One workflow with [`BRANCHES`] branches that its input names, done by polling workers.
///
/// # Errors
/// When it does not succeed.
pub async fn dynamic_fork(stack: &mut Stack) -> Result<DynamicFork, BenchError> {
    let workers = Workers::start(&stack.ready, &[sdk_task(0)], WORKERS, 1);
    let reference = |branch: usize| format!("b{branch}");
    let tasks: Vec<Value> = (0..BRANCHES)
        .map(|branch| json!({"name": sdk_task(0), "taskReferenceName": reference(branch), "type": "SIMPLE"}))
        .collect();
    let inputs: Map<String, Value> = (0..BRANCHES).map(|branch| (reference(branch), json!({"branch": branch}))).collect();
    let input = Map::from_iter([("tasks".to_owned(), json!(tasks)), ("inputs".to_owned(), json!(inputs))]);
    let over = Arc::new(AtomicBool::new(false));
    let run = async {
        let seconds = run(stack, DYNAMIC_FORK, input).await;
        over.store(true, Ordering::Relaxed);
        seconds
    };
    let watch = async {
        let mut most = 0.0_f64;
        while !over.load(Ordering::Relaxed) {
            most = most.max(part_rss_kb(stack, Part::Manager));
            tokio::time::sleep(LOOK_EVERY).await;
        }
        most
    };
    let (seconds, rss_kb) = tokio::join!(run, watch);
    workers.stop().await?;
    stack.check()?;
    Ok(DynamicFork { seconds: seconds?, rss_kb })
}

/// Seconds that a loop of [`crate::definitions::LOOP_ROUNDS`] rounds takes, each with one step that does nothing and a
/// condition in JavaScript.
///
/// # Errors
/// When it does not succeed.
pub async fn loop_s(stack: &mut Stack) -> Result<f64, BenchError> {
    let seconds = run(stack, LOOP, Map::new()).await;
    stack.check()?;
    seconds
}

async fn run(stack: &Stack, name: &str, input: Map<String, Value>) -> Result<f64, BenchError> {
    let client = &stack.client;
    let request = StartRequest { name: name.to_owned(), input, ..StartRequest::default() };
    let id = client.start(&request).await.map_err(BenchError::client("starting a workflow"))?;
    wait(client, id, LOOK_EVERY).await?;
    let view = finished(client, id, false).await?;
    Ok((view.end_time - view.create_time) as f64 / 1e3)
}
