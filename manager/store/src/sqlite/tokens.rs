//! Hashes of API tokens.

use conductor_model::{TenantName, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::codec::{During, name as parsed, unsigned};
use super::rows;
use crate::StoreError;

const WHAT: &str = "token";

pub(super) fn put(
    connection: &Connection,
    hash: &str,
    tenant: &TenantName,
    name: &str,
    created_at: Timestamp,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO token (hash, tenant, name, created_at) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (hash) DO UPDATE SET tenant = excluded.tenant, name = excluded.name";
    rows::execute(connection, WHAT, sql, params![hash, tenant.as_str(), name, created_at.0]).map(|_| ())
}

pub(super) fn get(connection: &Connection, hash: &str) -> Result<Option<(TenantName, String)>, StoreError> {
    connection
        .prepare_cached("SELECT tenant, name FROM token WHERE hash = ?1")
        .during(WHAT)?
        .query_row([hash], |row| Ok((parsed(0, row.get(0)?)?, row.get(1)?)))
        .optional()
        .during(WHAT)
}

pub(super) fn count(connection: &Connection) -> Result<u64, StoreError> {
    connection
        .prepare_cached("SELECT count(*) FROM token")
        .during(WHAT)?
        .query_row([], |row| row.get(0))
        .map(unsigned)
        .during(WHAT)
}
