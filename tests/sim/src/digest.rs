//! One number over all that is stored: the same events lead to the same state, to the last field.

use std::hash::{DefaultHasher, Hasher};

use conductor_store::{MemoryStore, Store};

use crate::invariants::workflows;
use crate::scenario::tenant;

/// The number.
///
/// # Errors
/// When the store cannot be read.
pub fn of(store: &MemoryStore) -> Result<u64, String> {
    let mut hasher = DefaultHasher::new();
    for workflow in workflows(store)? {
        let tasks = store.workflow_tasks(&tenant(), workflow.id, 0, usize::MAX).map_err(|error| error.to_string())?;
        hasher.write(&serde_json::to_vec(&workflow).map_err(|error| error.to_string())?);
        hasher.write(&serde_json::to_vec(&tasks).map_err(|error| error.to_string())?);
    }
    let feed = store.feed(&tenant(), 0, usize::MAX).map_err(|error| error.to_string())?;
    hasher.write(&serde_json::to_vec(&feed).map_err(|error| error.to_string())?);
    Ok(hasher.finish())
}
