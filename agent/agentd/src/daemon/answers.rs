//! What running tasks want of the manager: the runner asks, the agent knows the way.

use std::rc::Rc;
use std::time::Duration;

use conductor_agent_core::TaskKey;
use conductor_boot::report;
use serde_json::{Map, Value};

use super::Daemon;
use crate::rest::{Backoff, RestError};
use crate::runner_link::message::{Question, ToRunner};

/// Attempts at something that a running task waits for.
const ATTEMPTS_MAX: u32 = 6;
/// Longest wait between two attempts.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Answers a question in its own time.
pub(super) fn answer(daemon: &Rc<Daemon>, ask: u64, question: Question) {
    let daemon = daemon.clone();
    tokio::task::spawn_local(async move {
        let answer = find(&daemon, question).await;
        daemon.runner.send(&ToRunner::Answer { ask, answer });
    });
}

async fn find(daemon: &Daemon, question: Question) -> Result<Value, String> {
    let rest = &daemon.rest;
    match question {
        Question::Properties { instance } => {
            let read = attempt(async || rest.node_instance(&instance).await).await;
            read.map(|instance| Value::Object(instance.runtime_properties))
        }
        Question::Merge { instance, changes } => {
            attempt(async || rest.merge_properties(&instance, &changes).await).await.map(|()| Value::Null)
        }
        Question::Download { path, target } => {
            attempt(async || rest.download_resource(&path, &target).await).await.map(|()| Value::Null)
        }
        Question::Artifact { tenant, task, name, file } => {
            attempt(async || rest.put_artifact(&tenant, task, &name, &file).await).await.map(Value::String)
        }
    }
}

/// Asks some times, as long as another attempt may help.
async fn attempt<T>(ask: impl AsyncFn() -> Result<T, RestError>) -> Result<T, String> {
    let mut backoff = Backoff::new(RETRY_MAX);
    let mut attempts = 1;
    loop {
        match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error) if error.is_temporary() && attempts < ATTEMPTS_MAX => {
                attempts += 1;
                backoff.wait().await;
            }
            Err(error) => return Err(report(&error).to_string()),
        }
    }
}

/// Stores properties of a task that runs. What is not stored now travels with its result.
pub(super) fn store(daemon: &Rc<Daemon>, key: TaskKey, instance: String, values: Map<String, Value>) {
    let daemon = daemon.clone();
    tokio::task::spawn_local(async move {
        let stored = daemon.rest.merge_properties(&instance, &values).await;
        if let Err(error) = &stored {
            tracing::debug!(error = %report(error), "runtime properties are stored when their task ends");
        }
        daemon.runner.send(&ToRunner::Stored { key, done: stored.is_ok() });
    });
}
