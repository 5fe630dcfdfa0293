//! Workers that poll over HTTP and do nothing. As an SDK's, each asks for as many tasks as it has hands free, and a hand gets
//! its next task with the answer to its update.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::Deserialize;
use tokio::task::{JoinError, JoinSet};

use crate::error::BenchError;
use crate::http::Connection;
use crate::stack::Ready;

/// How long a poll waits for a task, in ms. SDKs ask for 100; a worker that stays longer costs less when there is nothing.
const POLL_WAIT_MS: u32 = 1_000;

/// What a worker needs to know of a task.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Polled {
    task_id: String,
    workflow_instance_id: String,
}

/// Workers at work, until they are told to stop.
#[derive(Debug)]
pub struct Workers {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Result<Vec<f64>, BenchError>>,
}

impl Workers {
    /// Starts `each` workers with `hands` hands for each of the task types.
    #[must_use]
    pub fn start(ready: &Ready, types: &[String], each: usize, hands: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for task_type in types {
            for number in 0..each {
                let (ready, stop) = (ready.clone(), Arc::clone(&stop));
                let path = format!("/api/tasks/poll/batch/{task_type}?workerid=bench-{number}&timeout={POLL_WAIT_MS}&count=");
                tasks.spawn(async move { work(&ready, &path, hands, &stop).await });
            }
        }
        Self { stop, tasks }
    }

    /// Stops them. Gives for each task how long it took from having it in hand to the answer to its update, in ms.
    ///
    /// # Errors
    /// What kept one of them from working.
    pub async fn stop(mut self) -> Result<Vec<f64>, BenchError> {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Vec::new();
        while let Some(ended) = self.tasks.join_next().await {
            all.append(&mut ended.map_err(|error| crashed(&error))??);
        }
        Ok(all)
    }
}

async fn work(ready: &Ready, poll: &str, hands: usize, stop: &AtomicBool) -> Result<Vec<f64>, BenchError> {
    let mut asking = Connection::open(&ready.api, &ready.token).await?;
    let mut free = Vec::with_capacity(hands);
    for _ in 0..hands {
        free.push(Connection::open(&ready.api, &ready.token).await?);
    }
    let mut busy: JoinSet<Result<(Connection, Vec<f64>), BenchError>> = JoinSet::new();
    let mut took = Vec::new();
    loop {
        let over = stop.load(Ordering::Relaxed);
        while let Some(done) = if free.is_empty() || over { busy.join_next().await } else { busy.try_join_next() } {
            let (hand, mut times) = done.map_err(|error| crashed(&error))??;
            free.push(hand);
            took.append(&mut times);
        }
        if over {
            return Ok(took);
        }
        let answer = asking.send("GET", &format!("{poll}{}", free.len()), b"").await?;
        let polled: Vec<Polled> = if answer.body.is_empty() { Vec::new() } else { read(&answer.body)? };
        for task in polled {
            let hand =
                free.pop().ok_or_else(|| BenchError::Shape { what: "a poll", reason: "it gave more than asked".to_owned() })?;
            busy.spawn(handle(hand, task));
        }
    }
}

/// Does a task, and those that come with the answers.
async fn handle(mut hand: Connection, task: Polled) -> Result<(Connection, Vec<f64>), BenchError> {
    let mut took = Vec::new();
    let mut next = Some(task);
    while let Some(task) = next.take() {
        let body = format!(
            r#"{{"taskId":"{}","workflowInstanceId":"{}","status":"COMPLETED","outputData":{{"done":true}},"workerId":"bench"}}"#,
            task.task_id, task.workflow_instance_id
        );
        let begin = Instant::now();
        let answer = hand.send("POST", "/api/tasks/update-v2", body.as_bytes()).await?;
        took.push(begin.elapsed().as_secs_f64() * 1e3);
        match answer.status {
            200 => next = Some(read(&answer.body)?),
            204 => {}
            status => {
                let reason = format!("update-v2: {status} {}", String::from_utf8_lossy(&answer.body));
                return Err(BenchError::Shape { what: "an answer", reason });
            }
        }
    }
    Ok((hand, took))
}

fn crashed(error: &JoinError) -> BenchError {
    BenchError::Shape { what: "a worker", reason: error.to_string() }
}

fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, BenchError> {
    serde_json::from_slice(body).map_err(|error| BenchError::Shape { what: "an answer", reason: error.to_string() })
}
