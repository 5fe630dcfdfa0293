//! Reading and writing of the many small tables whose rows are one JSON record.

use rusqlite::{Connection, OptionalExtension, Params};
use serde::de::DeserializeOwned;

use super::codec::{During, from_json};
use crate::StoreError;

/// The record in the first column of the only row.
pub(super) fn one<T: DeserializeOwned>(
    connection: &Connection,
    what: &'static str,
    sql: &str,
    params: impl Params,
) -> Result<Option<T>, StoreError> {
    let body: Option<String> =
        connection.prepare_cached(sql).during(what)?.query_row(params, |row| row.get(0)).optional().during(what)?;
    body.map(|body| from_json(what, &body)).transpose()
}

/// The records in the first column of all rows.
pub(super) fn all<T: DeserializeOwned>(
    connection: &Connection,
    what: &'static str,
    sql: &str,
    params: impl Params,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql).during(what)?;
    let found = statement.query_map(params, |row| row.get::<_, String>(0)).during(what)?;
    found.map(|body| from_json(what, &body.during(what)?)).collect()
}

/// Runs a statement; how many rows it changed.
pub(super) fn execute(
    connection: &Connection,
    what: &'static str,
    sql: &str,
    params: impl Params,
) -> Result<usize, StoreError> {
    connection.prepare_cached(sql).during(what)?.execute(params).during(what)
}
