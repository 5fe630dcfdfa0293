//! The side of `ctx`: one request, one answer, no runtime.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;
use thiserror::Error;

use super::protocol::{Answer, Ask, LINE_BYTES_MAX, Request, SOCKET_VARIABLE, TOKEN_VARIABLE};

/// Longest wait for an answer: the agent asks the manager some times before it gives up, and a download takes its time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum CtxError {
    /// Called outside a task.
    #[error("ctx works only inside a task that an agent runs: {0} is not set")]
    Outside(&'static str),
    /// The agent is not there.
    #[error("cannot reach the agent at {path}")]
    Connect {
        /// Its socket.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The conversation broke off.
    #[error("the agent did not answer")]
    Broken(#[source] std::io::Error),
    /// The answer makes no sense.
    #[error("the agent's answer cannot be read")]
    Shape(#[source] serde_json::Error),
    /// The agent says no.
    #[error("{0}")]
    Refused(String),
}

/// Asks the agent that runs this process.
///
/// # Errors
/// When there is none, and when it says no.
pub fn ask(ask: Ask) -> Result<Value, CtxError> {
    let variable = |name| std::env::var(name).map_err(|_| CtxError::Outside(name));
    let (path, token) = (variable(SOCKET_VARIABLE)?, variable(TOKEN_VARIABLE)?);
    let mut stream = UnixStream::connect(&path).map_err(|source| CtxError::Connect { path, source })?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT)).map_err(CtxError::Broken)?;
    let mut line = serde_json::to_vec(&Request { token, ask }).map_err(CtxError::Shape)?;
    line.push(b'\n');
    stream.write_all(&line).map_err(CtxError::Broken)?;
    let mut answer = Vec::new();
    let limit = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
    BufReader::new(stream).take(limit).read_until(b'\n', &mut answer).map_err(CtxError::Broken)?;
    match serde_json::from_slice(&answer).map_err(CtxError::Shape)? {
        Answer::Ok(value) => Ok(value),
        Answer::Error(reason) => Err(CtxError::Refused(reason)),
    }
}
