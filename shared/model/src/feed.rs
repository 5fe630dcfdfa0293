//! What is told to those who listen. Entries are made with every decision and read by few: their details are written as JSON
//! once, where they are made, and copied from then on.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::ids::{TaskId, WorkflowId};
use crate::names::{AgentId, TenantName};
use crate::time::Timestamp;

/// One entry of the feed behind `/api/v1/events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeedEntry {
    /// Grows with each entry; where a reader resumes.
    pub id: u64,
    /// Owner.
    pub tenant: TenantName,
    /// When it happened.
    pub at: Timestamp,
    /// What happened, as in `task.completed`.
    pub kind: Cow<'static, str>,
    /// The workflow it happened to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<WorkflowId>,
    /// The task it happened to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_id: Option<TaskId>,
    /// The agent it happened on or to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<AgentId>,
    /// Details, different for each kind.
    pub data: Details,
}

/// The details of an entry: a JSON value that was written already. Equal = the same text. They are read with serde_json
/// alone, and not through what keeps a value for later (untagged or flattened types).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Details(Box<RawValue>);

impl Details {
    /// Writes details. What cannot be JSON (a map whose keys are no text) is `null`.
    #[must_use]
    pub fn of(details: &impl Serialize) -> Self {
        serde_json::value::to_raw_value(details).map(Self).unwrap_or_default()
    }

    /// The details as a value, for those who look into them; read anew each time.
    #[must_use]
    pub fn parse(&self) -> Value {
        // The text is JSON. A value that nests too deeply to be read has nothing that anybody looks for.
        serde_json::from_str(self.0.get()).unwrap_or_default()
    }
}

impl PartialEq for Details {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn details_are_copied_as_they_were_written() {
        let text = r#"{"id":7,"tenant":"t","at":5,"kind":"task.completed","data":{"b":1.50,"a":["x"]}}"#;
        let entry: FeedEntry = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&entry).unwrap(), text);
        assert_eq!(entry.data.parse(), json!({"a": ["x"], "b": 1.5}));
        assert_eq!(Details::of(&json!({"a": 1})), Details::of(&std::collections::BTreeMap::from([("a", 1)])));
    }

    #[test]
    fn details_that_cannot_be_written_are_null() {
        let keys_are_no_text = std::collections::BTreeMap::from([([1, 2], 3)]);
        assert_eq!(Details::of(&keys_are_no_text), Details::default());
        assert_eq!(Details::default().parse(), Value::Null);
    }
}
