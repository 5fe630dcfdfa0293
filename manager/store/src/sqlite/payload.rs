//! Input, output and variables: small ones lie in the row, large ones beside it, so that a row that changes with every
//! step stays small.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::codec::{During, from_json, to_json};
use crate::StoreError;

/// Longest payload that lies in its row, in bytes of JSON.
const INLINE_BYTES_MAX: usize = 1024;

/// Which payload of its owner.
#[derive(Clone, Copy, Debug)]
#[repr(i64)]
pub(super) enum Kind {
    /// Of a workflow or a task.
    Input = 0,
    /// Of a workflow or a task.
    Output = 1,
    /// Of a workflow.
    Variables = 2,
}

/// What goes into the row: the JSON, or nothing when it was stored beside it.
pub(super) fn store(
    connection: &Connection,
    owner: &[u8; 16],
    kind: Kind,
    value: &Value,
) -> Result<Option<String>, StoreError> {
    const OPERATION: &str = "store a payload";
    let json = to_json(OPERATION, value)?;
    if json.len() <= INLINE_BYTES_MAX {
        return Ok(Some(json));
    }
    let mut statement = connection
        .prepare_cached(
            "INSERT INTO payload (owner, kind, body) VALUES (?1, ?2, ?3)
             ON CONFLICT (owner, kind) DO UPDATE SET body = excluded.body WHERE body <> excluded.body",
        )
        .during(OPERATION)?;
    statement.execute(params![owner, kind as i64, json]).during(OPERATION)?;
    Ok(None)
}

/// The payload that [`store`] took.
pub(super) fn load(
    connection: &Connection,
    owner: &[u8; 16],
    kind: Kind,
    inline: Option<String>,
) -> Result<Arc<Value>, StoreError> {
    const OPERATION: &str = "load a payload";
    let json = match inline {
        Some(json) => json,
        None => connection
            .prepare_cached("SELECT body FROM payload WHERE owner = ?1 AND kind = ?2")
            .during(OPERATION)?
            .query_row(params![owner, kind as i64], |row| row.get(0))
            .optional()
            .during(OPERATION)?
            .ok_or_else(|| StoreError::Corrupt { what: format!("payload {kind:?}"), message: "it is missing".to_owned() })?,
    };
    from_json("payload", &json).map(Arc::new)
}
