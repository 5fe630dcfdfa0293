//! Revisions of definitions: what was stored or removed under a name, when and by whom.

use conductor_model::{TaskDef, TenantName, Timestamp, WorkflowDef};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Document, DocumentKind, StoreError};

/// Revisions that are kept of the definitions of one name; older ones go.
pub const REVISIONS_KEPT: usize = 100;

/// What storing a definition writes into it. A revision tells that itself.
const STAMPS: [&str; 4] = ["createTime", "updateTime", "createdBy", "updatedBy"];

/// What a definition defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DefinitionKind {
    /// A task.
    Task,
    /// A workflow.
    Workflow,
}

impl DefinitionKind {
    /// As it is stored and shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Workflow => "workflow",
        }
    }

    /// The kind of the documents that lock such definitions. A lock has the name and version of what it locks; task
    /// definitions, which have no versions, are locked in version 1.
    #[must_use]
    pub fn lock(self) -> DocumentKind {
        match self {
            Self::Task => DocumentKind::TaskLock,
            Self::Workflow => DocumentKind::WorkflowLock,
        }
    }
}

/// One accepted change of the definitions of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// From 1, in order of time, over all versions of the name.
    pub number: u32,
    /// The version that was changed; `None` = a task definition.
    pub version: Option<i32>,
    /// When.
    pub at: Timestamp,
    /// By whom: the name of a token.
    pub by: String,
    /// Whether the definition was removed, not stored.
    pub deleted: bool,
}

impl Revision {
    /// What storing a definition comes to; its number is given when it is kept.
    pub(crate) fn of<D: Definition>(definition: &D) -> Self {
        let (at, by) = definition.stamped();
        Self { number: 0, version: definition.version(), at, by, deleted: false }
    }

    /// What removing one comes to.
    pub(crate) fn removal(version: Option<i32>, by: &str, at: Timestamp) -> Self {
        Self { number: 0, version, at, by: by.to_owned(), deleted: true }
    }
}

/// A definition of either kind, as far as both are kept alike.
pub(crate) trait Definition: Serialize {
    const KIND: DefinitionKind;
    fn name(&self) -> &str;
    fn version(&self) -> Option<i32>;
    fn stamped(&self) -> (Timestamp, String);
}

impl Definition for TaskDef {
    const KIND: DefinitionKind = DefinitionKind::Task;
    fn name(&self) -> &str {
        &self.name
    }
    fn version(&self) -> Option<i32> {
        None
    }
    fn stamped(&self) -> (Timestamp, String) {
        stamped(self.update_time, self.updated_by.as_ref())
    }
}

impl Definition for WorkflowDef {
    const KIND: DefinitionKind = DefinitionKind::Workflow;
    fn name(&self) -> &str {
        &self.name
    }
    fn version(&self) -> Option<i32> {
        Some(self.version)
    }
    fn stamped(&self) -> (Timestamp, String) {
        stamped(self.update_time, self.updated_by.as_ref())
    }
}

fn stamped(at: Option<i64>, by: Option<&String>) -> (Timestamp, String) {
    (Timestamp(at.unwrap_or_default()), by.cloned().unwrap_or_default())
}

/// A definition without what storing it writes into it: two are the same when this is.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn unstamped(definition: &impl Serialize) -> Result<Value, StoreError> {
    let mut value = serde_json::to_value(definition)
        .map_err(|error| StoreError::Backend { operation: "write a definition", message: error.to_string() })?;
    if let Value::Object(map) = &mut value {
        map.retain(|key, _| !STAMPS.contains(&key.as_str()));
    }
    Ok(value)
}

/// What is to be done when a definition is stored.
pub(crate) enum Change {
    /// Nothing: it is locked and stands there as it is.
    None,
    /// Only who stored it last, and when.
    Stamps,
    /// It becomes another: this is its revision's text.
    Revision(Value),
}

/// Compares a definition with the one that it would replace, under the lock of that.
///
/// # Errors
/// `Locked` where it would change a definition that is locked.
pub(crate) fn change<D: Definition>(new: &D, before: Option<&D>, lock: Option<Document>) -> Result<Change, StoreError> {
    let said = unstamped(new)?;
    let Some(before) = before else { return Ok(Change::Revision(said)) };
    let same = unstamped(before)? == said;
    match lock {
        Some(_) if same => Ok(Change::None),
        Some(lock) => Err(locked(D::KIND, lock)),
        None if same => Ok(Change::Stamps),
        None => Ok(Change::Revision(said)),
    }
}

/// That a definition is locked.
pub(crate) fn locked(kind: DefinitionKind, lock: Document) -> StoreError {
    StoreError::Locked { kind, lock: Box::new(lock) }
}

/// Of whom and what revisions are, in the order in which the memory store keeps them.
pub(crate) type RevisionKey = (TenantName, DefinitionKind, String);
