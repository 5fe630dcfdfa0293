//! The feed behind the event stream.

use conductor_model::{FeedEntry, TenantName};
use rusqlite::{Connection, params};

use super::codec::{During, from_json, int, rows, to_json};
use crate::StoreError;

/// Stores an entry.
pub(super) fn insert(connection: &Connection, entry: &FeedEntry) -> Result<(), StoreError> {
    const OPERATION: &str = "store a feed entry";
    let body = to_json(OPERATION, entry)?;
    let mut statement =
        connection.prepare_cached("INSERT INTO feed (id, tenant, body) VALUES (?1, ?2, ?3)").during(OPERATION)?;
    statement.execute(params![int(entry.id), entry.tenant.as_str(), body]).map(|_| ()).during(OPERATION)
}

/// Entries after `after`, oldest first.
pub(super) fn after(
    connection: &Connection,
    tenant: &TenantName,
    after: u64,
    limit: usize,
) -> Result<Vec<FeedEntry>, StoreError> {
    const OPERATION: &str = "load the feed";
    let mut statement = connection
        .prepare_cached("SELECT body FROM feed WHERE id > ?2 AND tenant = ?1 ORDER BY id LIMIT ?3")
        .during(OPERATION)?;
    let found = statement
        .query_map(params![tenant.as_str(), int(after), rows(limit)], |row| row.get::<_, String>(0))
        .during(OPERATION)?;
    found.map(|body| from_json("feed entry", &body.during(OPERATION)?)).collect()
}

/// Drops entries up to and including `up_to`.
pub(super) fn trim(connection: &Connection, up_to: u64) -> Result<(), StoreError> {
    const OPERATION: &str = "trim the feed";
    let mut statement = connection.prepare_cached("DELETE FROM feed WHERE id <= ?1").during(OPERATION)?;
    statement.execute([int(up_to)]).map(|_| ()).during(OPERATION)
}
