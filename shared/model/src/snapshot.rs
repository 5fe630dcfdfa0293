//! What a running workflow keeps of its definitions: later changes to them do not touch it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::definition::{TaskDef, WorkflowDef};

/// A workflow definition together with the task definitions that it names, as they stood when the workflow started.
/// Stored once per digest and shared by all runs of the same definitions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// SHA-256 over the JSON of the two parts below, in hexadecimal.
    pub digest: String,
    /// The workflow definition.
    pub workflow: Arc<WorkflowDef>,
    /// Task definitions by name. Inline definitions of single steps stay in the workflow definition.
    pub tasks: BTreeMap<String, Arc<TaskDef>>,
}
