//! When tasks were handed out under a rate limit.

use std::sync::Arc;

use conductor_model::Timestamp;
use rusqlite::{Connection, params};

use super::codec::{During, name};
use super::rows::execute;
use crate::{LimitedStart, StoreError};

/// Stores hand-outs.
pub(super) fn insert(connection: &Connection, starts: &[LimitedStart]) -> Result<(), StoreError> {
    for LimitedStart { tenant, name, at } in starts {
        let values = params![tenant.as_str(), &**name, at.0];
        execute(connection, "store a hand-out", "INSERT INTO limited_start (tenant, name, at) VALUES (?1, ?2, ?3)", values)?;
    }
    Ok(())
}

/// Drops the hand-outs of each name up to and with a moment.
pub(super) fn delete(connection: &Connection, over: &[LimitedStart]) -> Result<(), StoreError> {
    for LimitedStart { tenant, name, at } in over {
        let sql = "DELETE FROM limited_start WHERE tenant = ?1 AND name = ?2 AND at <= ?3";
        execute(connection, "drop hand-outs", sql, params![tenant.as_str(), &**name, at.0])?;
    }
    Ok(())
}

/// All hand-outs, by name and time.
pub(super) fn all(connection: &Connection) -> Result<Vec<LimitedStart>, StoreError> {
    const OPERATION: &str = "load the hand-outs";
    let mut statement = connection
        .prepare_cached("SELECT tenant, name, at FROM limited_start ORDER BY tenant, name, at, id")
        .during(OPERATION)?;
    let rows = statement
        .query_map([], |row| {
            let tenant = name(0, row.get(0)?)?;
            Ok(LimitedStart { tenant, name: Arc::from(row.get_ref(1)?.as_str()?), at: Timestamp(row.get(2)?) })
        })
        .during(OPERATION)?;
    rows.collect::<Result<_, _>>().during(OPERATION)
}
