//! A client that costs little: the load generator shares the machine with what it measures.
//!
//! One connection that is kept, one request at a time, answers with a length. It understands what the manager's API sends
//! and nothing more.

use std::io::Write;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::error::BenchError;

/// Longest answer that is read, in bytes: a whole workflow of some ten thousand tasks.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Longest head of an answer, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// What ends a head.
const HEAD_END: &[u8] = b"\r\n\r\n";

/// A connection to the manager.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// What every request has after its first line.
    headers: String,
    request: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Connection {
    /// Connects to the API at `base`, as in `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// When nobody listens there.
    pub async fn open(base: &str, token: &str) -> Result<Self, BenchError> {
        let host = base.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let failed = || BenchError::io(format!("connect to {host}"));
        let stream = TcpStream::connect(&host).await.map_err(failed())?;
        stream.set_nodelay(true).map_err(failed())?;
        let headers = format!("host: {host}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n");
        Ok(Self { stream, headers, request: Vec::new() })
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// When the connection breaks, or the answer is none that is understood.
    pub async fn send(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Answer, BenchError> {
        let sending = || BenchError::io(format!("send {method} {path}"));
        self.request.clear();
        let (headers, length) = (&self.headers, body.len());
        write!(self.request, "{method} {path} HTTP/1.1\r\n{headers}content-length: {length}\r\n\r\n").map_err(sending())?;
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request).await.map_err(sending())?;
        self.read().await
    }

    async fn read(&mut self) -> Result<Answer, BenchError> {
        let mut received = Vec::with_capacity(4096);
        let end = loop {
            self.more(&mut received).await?;
            if let Some(at) = received.windows(HEAD_END.len()).position(|bytes| bytes == HEAD_END) {
                break at + HEAD_END.len();
            }
            if received.len() > HEAD_BYTES_MAX {
                return Err(not_understood(format!("its head is longer than {HEAD_BYTES_MAX} bytes")));
            }
        };
        let (status, length) = understand(&String::from_utf8_lossy(&received[..end]))?;
        let mut body = received.split_off(end);
        body.reserve(length.saturating_sub(body.len()));
        while body.len() < length {
            self.more(&mut body).await?;
        }
        if body.len() > length {
            return Err(not_understood(format!("it is longer than the {length} bytes that it says")));
        }
        Ok(Answer { status, body })
    }

    async fn more(&mut self, to: &mut Vec<u8>) -> Result<(), BenchError> {
        match self.stream.read_buf(to).await.map_err(BenchError::io("read an answer"))? {
            0 => Err(not_understood("the connection was closed".to_owned())),
            _ => Ok(()),
        }
    }
}

/// The status and the length of the body.
fn understand(head: &str) -> Result<(u16, usize), BenchError> {
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| not_understood(first.to_owned()))?;
    let mut length = 0;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(usize::MAX);
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            return Err(not_understood("its length is not said".to_owned()));
        }
    }
    if length > ANSWER_BYTES_MAX {
        return Err(not_understood(format!("it is longer than {ANSWER_BYTES_MAX} bytes")));
    }
    Ok((status, length))
}

fn not_understood(reason: String) -> BenchError {
    BenchError::Shape { what: "an answer", reason }
}
