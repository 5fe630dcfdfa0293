//! Whether the stack's own manager answers, asked over its REST API as anybody would.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// An answer on loopback takes milliseconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// The list of a development stack's agents is a few KiB.
const ANSWER_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Asks one manager.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub(super) address: SocketAddr,
    pub(super) token: String,
}

impl Probe {
    /// Whether the manager says that it is well.
    pub(super) async fn healthy(&self) -> bool {
        self.get("/health").await.is_some()
    }

    /// The agents that are active, and when each was last heard of, as the API writes it.
    pub(super) async fn active_agents(&self) -> BTreeMap<String, Value> {
        let Some(body) = self.get("/api/v1/agents").await else { return BTreeMap::new() };
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        let items = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let active = items.iter().filter(|item| item["state"] == "active");
        active.filter_map(|item| Some((item["id"].as_str()?.to_owned(), item["last_seen_at"].clone()))).collect()
    }

    /// The body of a 200.
    async fn get(&self, path: &str) -> Option<Vec<u8>> {
        let answer = timeout(ANSWER_WITHIN, self.exchange(path)).await.ok()?.ok()?;
        let split = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
        let status = answer.split(|byte| *byte == b' ').nth(1)?;
        (status == b"200").then(|| answer[split + 4..].to_vec())
    }

    /// One exchange in HTTP/1.0, whose answers end with the connection and need no client library.
    async fn exchange(&self, path: &str) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.address).await?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n", self.address, self.token);
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
        Ok(answer)
    }
}
