//! A log line on its way.

use conductor_model::{LogLine, TenantName};

/// What a line's JSON takes beside its text, and a little for characters that are escaped.
const AROUND_TEXT_BYTES: usize = 160;

/// A log line on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Owner of the task.
    pub tenant: TenantName,
    /// Whether it is dropped before others.
    pub is_debug: bool,
    /// The `LogLine`.
    pub json: String,
}

impl Waiting {
    /// A line of a tenant's task. `is_debug`: it is dropped before others.
    #[must_use]
    pub fn new(tenant: TenantName, is_debug: bool, line: &LogLine) -> Self {
        // What fits needs a single allocation.
        let mut json = Vec::with_capacity(line.text.len() + AROUND_TEXT_BYTES);
        let written = serde_json::to_writer(&mut json, line).map(|()| String::from_utf8(json));
        let json = match written {
            Ok(Ok(json)) => json,
            Ok(Err(_)) | Err(_) => {
                tracing::error!(task.id = %line.task_id, line.seq, "a log line cannot be written as JSON");
                "null".to_owned()
            }
        };
        Self { tenant, is_debug, json }
    }
}
