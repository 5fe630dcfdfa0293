//! A client that costs little: the load generator shares the machine with what it measures.
//!
//! One connection that is kept, one request at a time, answers with a length. It understands what the manager's API sends
//! and nothing more.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::error::BenchError;

/// Longest answer that is read, in bytes: a whole workflow of some ten thousand tasks.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// A connection to the manager.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
    /// What every request has after its first line.
    headers: String,
    line: String,
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
        Ok(Self { stream: BufReader::new(stream), headers, line: String::new() })
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// When the connection breaks, or the answer is none that is understood.
    pub async fn send(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Answer, BenchError> {
        let head = format!("{method} {path} HTTP/1.1\r\n{}content-length: {}\r\n\r\n", self.headers, body.len());
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        self.stream.write_all(&request).await.map_err(BenchError::io(format!("send {method} {path}")))?;
        self.read().await
    }

    async fn read(&mut self) -> Result<Answer, BenchError> {
        let status = self.line().await?.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| BenchError::Shape { what: "an answer", reason: self.line.clone() })?;
        let mut length = 0;
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().unwrap_or(usize::MAX);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                let reason = "its length is not said".to_owned();
                return Err(BenchError::Shape { what: "an answer", reason });
            }
        }
        if length > ANSWER_BYTES_MAX {
            let reason = format!("it is longer than {ANSWER_BYTES_MAX} bytes");
            return Err(BenchError::Shape { what: "an answer", reason });
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.map_err(BenchError::io("read an answer"))?;
        Ok(Answer { status, body })
    }

    async fn line(&mut self) -> Result<&str, BenchError> {
        self.line.clear();
        let read = self.stream.read_line(&mut self.line).await.map_err(BenchError::io("read an answer"))?;
        if read == 0 {
            return Err(BenchError::Shape { what: "an answer", reason: "the connection was closed".to_owned() });
        }
        Ok(self.line.trim_end())
    }
}
