//! The agent's side of `ctx`.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Weak;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::keys::{check_depth, select, set_inside};
use super::protocol::{Answer, Ask, LINE_BYTES_MAX, Request};
use crate::facts;
use crate::runner::{Host, Job};

/// Most connections at once; more wait in the socket's queue.
const CONNECTIONS_MAX: usize = 64;
/// Longest wait for a request to be written.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest path that a socket's address can hold, with its end.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Where the socket lies: in the data folder, or in the system's folder for temporary files where that path is too long.
#[must_use]
pub fn socket_path(data: &Path, token: &str) -> PathBuf {
    let path = data.join("ctx.sock");
    if path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
        return path;
    }
    std::env::temp_dir().join(format!("conductor-ctx-{token}.sock"))
}

/// Listens on `path`, for this user alone.
///
/// # Errors
/// When the socket cannot be made.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Answers until the agent is gone.
pub async fn serve(listener: UnixListener, host: Weak<Host>) {
    let places = std::sync::Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let host = host.clone();
                tokio::task::spawn_local(async move {
                    if let Err(error) = converse(stream, &host).await {
                        tracing::debug!(%error, "a call of ctx broke off");
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a call of ctx could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(stream: UnixStream, host: &Weak<Host>) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = Vec::new();
    let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
    let mut reader = BufReader::with_capacity(4096, read).take(limit);
    timeout(REQUEST_TIMEOUT, reader.read_until(b'\n', &mut line)).await??;
    let answer = match (serde_json::from_slice::<Request>(&line), host.upgrade()) {
        (Ok(request), Some(host)) => answer(&host, request).await,
        (Err(error), _) => Answer::Error(format!("the request cannot be read: {error}")),
        (Ok(_), None) => Answer::Error("the agent is ending".to_owned()),
    };
    let mut out = serde_json::to_vec(&answer)?;
    out.push(b'\n');
    write.write_all(&out).await
}

async fn answer(host: &Host, request: Request) -> Answer {
    let speaker = host.speakers.borrow().get(&request.token).cloned();
    let Some(job) = speaker else {
        return Answer::Error("the task that this process belonged to is over".to_owned());
    };
    match handle(host, &job, request.ask).await {
        Ok(value) => Answer::Ok(value),
        Err(reason) => Answer::Error(reason),
    }
}

async fn handle(host: &Host, job: &Job, ask: Ask) -> Result<Value, String> {
    match ask {
        Ask::InstanceId => Ok(Value::String(job.node_instance.clone())),
        Ask::Properties { instance, key } => {
            let instance = instance.as_ref().unwrap_or(&job.node_instance);
            let mut properties = host.manager.properties(instance).await?;
            if instance == &job.node_instance {
                // What the task itself has just set on the event channel is seen as well.
                overlay(&mut properties, &job.voice.said.borrow().properties);
            }
            select(Value::Object(properties), key.as_deref(), "runtime property")
        }
        Ask::SetProperty { instance, key, value } => {
            check_depth(&key, &value)?;
            let instance = instance.as_ref().unwrap_or(&job.node_instance);
            let changes = match key.split_once('.') {
                Some((first, rest)) => {
                    let mut all = host.manager.properties(instance).await?;
                    let mut top = all.remove(first).unwrap_or(Value::Null);
                    set_inside(&mut top, rest, value);
                    Map::from_iter([(first.to_owned(), top)])
                }
                None => Map::from_iter([(key, value)]),
            };
            host.manager.merge(instance, &changes).await?;
            Ok(Value::Null)
        }
        Ask::NodeProperty { key } => {
            let properties = input(job)?.get("node_properties").cloned().unwrap_or_else(|| Value::Object(Map::new()));
            select(properties, key.as_deref(), "node property")
        }
        Ask::TaskInput { key } => select(input(job)?, key.as_deref(), "input"),
        Ask::Download { path, target } => {
            host.manager.download(&path, Path::new(&target)).await?;
            Ok(Value::String(target))
        }
        Ask::HostIp => {
            let addresses = facts::addresses();
            let first = addresses.iter().find(|address| address.contains('.')).or_else(|| addresses.first());
            Ok(Value::String(first.cloned().unwrap_or_else(|| "127.0.0.1".to_owned())))
        }
        Ask::Say(event) => {
            let bytes = serde_json::to_string(&event).map_or(0, |text| text.len());
            job.voice.event(*event, bytes);
            Ok(Value::Null)
        }
    }
}

fn input(job: &Job) -> Result<Value, String> {
    serde_json::from_str(job.input.get()).map_err(|error| format!("the task's input cannot be read: {error}"))
}

fn overlay(properties: &mut Map<String, Value>, newer: &Map<String, Value>) {
    for (key, value) in newer {
        if value.is_null() {
            properties.remove(key);
        } else {
            properties.insert(key.clone(), value.clone());
        }
    }
}
