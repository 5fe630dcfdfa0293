//! The feed behind the event stream. Entries that are stored together share a row: they are written with every decision,
//! and read by few.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor_model::{FeedEntry, TenantName};
use rusqlite::{Connection, params};
use serde::Serialize;

use super::codec::{During, from_json, int, to_json};
use super::counters::Counter;
use crate::StoreError;

/// Entries in one row at most, so that a reader of few does not read many.
const ENTRIES_PER_ROW_MAX: usize = 256;

/// Stores entries, which are in the order of their ids.
pub(super) fn insert(connection: &Connection, entries: &[Arc<FeedEntry>]) -> Result<(), StoreError> {
    const OPERATION: &str = "store feed entries";
    let mut by_tenant: BTreeMap<&TenantName, Vec<&FeedEntry>> = BTreeMap::new();
    for entry in entries {
        by_tenant.entry(&entry.tenant).or_default().push(entry);
    }
    let mut statement =
        connection.prepare_cached("INSERT INTO feed (last_id, tenant, body) VALUES (?1, ?2, ?3)").during(OPERATION)?;
    for (tenant, entries) in by_tenant {
        for row in entries.chunks(ENTRIES_PER_ROW_MAX) {
            let last = row.last().map_or(0, |entry| entry.id);
            let body: Vec<_> = row.iter().map(|entry| in_order(entry)).collect();
            statement.execute(params![int(last), tenant.as_str(), to_json(OPERATION, &body)?]).during(OPERATION)?;
        }
    }
    Ok(())
}

/// An entry's fields in the order of its type, without their names: serde reads it as it reads those with names, which
/// older programs wrote.
fn in_order(entry: &FeedEntry) -> impl Serialize {
    let FeedEntry { id, tenant, at, kind, workflow_id, task_id, agent_id, data } = entry;
    (id, tenant, at, kind, workflow_id, task_id, agent_id, data)
}

/// Entries after `after`, oldest first.
pub(super) fn after(
    connection: &Connection,
    tenant: &TenantName,
    after: u64,
    limit: usize,
) -> Result<Vec<FeedEntry>, StoreError> {
    const OPERATION: &str = "load the feed";
    let after = after.max(Counter::FeedDropped.highest(connection)?);
    let mut statement = connection
        .prepare_cached("SELECT body FROM feed WHERE last_id > ?2 AND tenant = ?1 ORDER BY last_id")
        .during(OPERATION)?;
    let mut rows = statement.query(params![tenant.as_str(), int(after)]).during(OPERATION)?;
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(row) = rows.next().during(OPERATION)?
    {
        let entries: Vec<FeedEntry> =
            from_json("feed entries", row.get_ref(0).and_then(|body| Ok(body.as_str()?)).during(OPERATION)?)?;
        found.extend(entries.into_iter().filter(|entry| entry.id > after).take(limit - found.len()));
    }
    Ok(found)
}

/// Drops entries up to and including `up_to`. Of a row that goes beyond it, they are only no longer shown.
pub(super) fn trim(connection: &Connection, up_to: u64) -> Result<(), StoreError> {
    const OPERATION: &str = "trim the feed";
    Counter::FeedDropped.raise(connection, up_to)?;
    let mut statement = connection.prepare_cached("DELETE FROM feed WHERE last_id <= ?1").during(OPERATION)?;
    statement.execute([int(up_to)]).map(|_| ()).during(OPERATION)
}
