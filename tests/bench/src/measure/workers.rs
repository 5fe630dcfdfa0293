//! Workers that poll over HTTP and do nothing: each one connection, as an SDK's would.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::Deserialize;
use tokio::task::JoinSet;

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
    /// Starts `each` workers for each of the task types.
    #[must_use]
    pub fn start(ready: &Ready, types: &[String], each: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for task_type in types {
            for number in 0..each {
                let (ready, stop) = (ready.clone(), Arc::clone(&stop));
                let path = format!("/api/tasks/poll/batch/{task_type}?workerid=bench-{number}&count=1&timeout={POLL_WAIT_MS}");
                tasks.spawn(async move { work(&ready, &path, &stop).await });
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
            let ended = ended.map_err(|error| BenchError::Shape { what: "a worker", reason: error.to_string() })?;
            all.append(&mut ended?);
        }
        Ok(all)
    }
}

async fn work(ready: &Ready, poll: &str, stop: &AtomicBool) -> Result<Vec<f64>, BenchError> {
    let mut connection = Connection::open(&ready.api, &ready.token).await?;
    let mut took = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let answer = connection.send("GET", poll, b"").await?;
        let polled: Vec<Polled> = if answer.body.is_empty() { Vec::new() } else { read(&answer.body)? };
        for task in polled {
            let mut next = Some(task);
            while let Some(task) = next.take() {
                let body = format!(
                    r#"{{"taskId":"{}","workflowInstanceId":"{}","status":"COMPLETED","outputData":{{"done":true}},"workerId":"bench"}}"#,
                    task.task_id, task.workflow_instance_id
                );
                let begin = Instant::now();
                let answer = connection.send("POST", "/api/tasks/update-v2", body.as_bytes()).await?;
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
        }
    }
    Ok(took)
}

fn read<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, BenchError> {
    serde_json::from_slice(body).map_err(|error| BenchError::Shape { what: "an answer", reason: error.to_string() })
}
