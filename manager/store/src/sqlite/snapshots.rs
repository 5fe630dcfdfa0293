//! What workflows run by: each definition as it was, kept once.

use std::sync::Arc;

use conductor_model::Snapshot;
use rusqlite::{Connection, OptionalExtension};

use super::codec::{During, from_json, to_json};
use crate::StoreError;

/// Stores a snapshot unless it is there.
pub(super) fn put(connection: &Connection, snapshot: &Snapshot) -> Result<(), StoreError> {
    const OPERATION: &str = "store a snapshot";
    let mut known = connection.prepare_cached("SELECT 1 FROM snapshot WHERE digest = ?1").during(OPERATION)?;
    if known.exists([&snapshot.digest]).during(OPERATION)? {
        return Ok(());
    }
    let body = to_json(OPERATION, snapshot)?;
    let mut statement = connection.prepare_cached("INSERT INTO snapshot (digest, body) VALUES (?1, ?2)").during(OPERATION)?;
    statement.execute((&snapshot.digest, body)).during(OPERATION)?;
    Ok(())
}

/// The snapshot with a digest.
pub(super) fn get(connection: &Connection, digest: &str) -> Result<Option<Arc<Snapshot>>, StoreError> {
    const OPERATION: &str = "load a snapshot";
    let body: Option<String> = connection
        .prepare_cached("SELECT body FROM snapshot WHERE digest = ?1")
        .during(OPERATION)?
        .query_row([digest], |row| row.get(0))
        .optional()
        .during(OPERATION)?;
    body.map(|body| from_json("snapshot", &body).map(Arc::new)).transpose()
}
