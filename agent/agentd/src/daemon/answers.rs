//! What running tasks want of the manager: the runner asks, the agent knows the way.

use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use conductor_agent_core::TaskKey;
use conductor_boot::report;
use serde_json::{Map, Value};
use tokio::io::AsyncWriteExt;

use super::Daemon;
use crate::rest::{Backoff, RestError};
use crate::runner_link::message::{FromRunner, Question, ToRunner};

/// Attempts at something that a running task waits for.
const ATTEMPTS_MAX: u32 = 6;
/// Longest wait between two attempts.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Answers a question in its own time.
pub(super) fn answer(daemon: &Rc<Daemon>, ask: u64, question: Question) {
    let daemon = daemon.clone();
    tokio::task::spawn_local(async move {
        let answer = find(&daemon, ask, question).await;
        daemon.runner.send(&ToRunner::Answer { ask, answer });
    });
}

async fn find(daemon: &Daemon, ask: u64, question: Question) -> Result<Value, String> {
    let rest = &daemon.rest;
    match question {
        Question::Properties { instance } => {
            let read = attempt(async || rest.node_instance(&instance).await).await;
            read.map(|instance| Value::Object(instance.runtime_properties))
        }
        Question::Merge { instance, changes } => {
            attempt(async || rest.merge_properties(&instance, &changes).await).await.map(|()| Value::Null)
        }
        Question::Download { path } => attempt(async || download(daemon, ask, &path).await).await.map(|()| Value::Null),
        Question::Artifact { tenant, task, name, bytes } => {
            let put = async || {
                let (incoming, _write) = daemon.runner.transfer(ask).await.map_err(no_runner(&name))?;
                rest.put_artifact(&tenant, task, &name, bytes, incoming.into_bytes()).await
            };
            attempt(put).await.map(Value::String)
        }
    }
}

/// Fetches a file of the store; the runner writes it.
async fn download(daemon: &Daemon, ask: u64, path: &str) -> Result<(), RestError> {
    let failed = no_runner(path);
    let (mut incoming, mut write) = daemon.runner.transfer(ask).await.map_err(&failed)?;
    match daemon.rest.download_resource(path, &mut write).await {
        Ok(()) => write.shutdown().await.map_err(&failed)?,
        // The runner takes no more, and says why.
        Err(RestError::File { .. }) => {}
        Err(error) => return Err(error),
    }
    match incoming.next().await.map_err(&failed)? {
        Some(FromRunner::Transferred(Ok(()))) => Ok(()),
        Some(FromRunner::Transferred(Err(reason))) => Err(failed(io::Error::other(reason))),
        _ => Err(failed(io::ErrorKind::UnexpectedEof.into())),
    }
}

fn no_runner(file: &str) -> impl Fn(io::Error) -> RestError {
    let path = PathBuf::from(file);
    move |source| RestError::File { step: "hand over", path: path.clone(), source }
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
