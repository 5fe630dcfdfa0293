//! Log lines of tasks.

use conductor_model::LogLine;
use reqwest::Method;
use serde::Deserialize;

use crate::{Client, ClientError};

/// Some lines of one task's log.
#[derive(Clone, Debug)]
pub struct LogPage {
    /// The lines, in order.
    pub lines: Vec<LogLine>,
    /// Where the next page begins: behind this line.
    pub next_after: u64,
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<LogLine>,
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    next_after: Option<u64>,
}

impl Client {
    /// At most `limit` lines of a task's log, those behind line `after` (0 = from the beginning).
    ///
    /// # Errors
    /// When there is no such task.
    pub async fn task_logs(&self, id: &str, after: u64, limit: usize) -> Result<LogPage, ClientError> {
        let pairs = [("after", after.to_string()), ("limit", limit.to_string())];
        let answer: Answer = self.call(Method::GET, &["api", "v1", "tasks", id, "logs"], &pairs).read().await?;
        let last = answer.items.last().map_or(after, |line| line.seq);
        Ok(LogPage { lines: answer.items, next_after: answer.metadata.next_after.unwrap_or(last).max(after) })
    }
}
