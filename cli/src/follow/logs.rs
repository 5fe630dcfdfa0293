//! Reading logs on from where they were read to.

use std::collections::HashMap;

use conductor_client::Client;
use conductor_model::{LogLine, TaskId};

/// Lines asked for at once.
const PAGE_LINES: usize = 1000;

/// Remembers how far each task's log was read.
#[derive(Debug, Default)]
pub struct LogReader {
    after: HashMap<TaskId, u64>,
}

impl LogReader {
    /// All lines that are there and were not given yet.
    pub async fn more(&mut self, client: &Client, task: TaskId) -> Result<Vec<LogLine>, conductor_client::ClientError> {
        let after = self.after.entry(task).or_insert(0);
        let mut lines = Vec::new();
        loop {
            let page = client.task_logs(&task.to_string(), *after, PAGE_LINES).await?;
            let is_last = page.lines.len() < PAGE_LINES;
            *after = page.next_after;
            lines.extend(page.lines);
            if is_last {
                return Ok(lines);
            }
        }
    }
}
