//! Revisions of definitions, and the locks on them.

use conductor_model::{TenantName, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::Value;

use super::codec::{During, from_json, to_json};
use super::{documents, rows};
use crate::revision::locked;
use crate::{DefinitionKind, Document, REVISIONS_KEPT, Revision, StoreError};

const WHAT: &str = "revision of a definition";

/// Numbers and keeps a revision of the definitions of a name; `said` is what it says, nothing where it was removed.
pub(super) fn add(
    connection: &Connection,
    tenant: &TenantName,
    kind: DefinitionKind,
    name: &str,
    revision: &Revision,
    said: &Value,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO revision (tenant, kind, name, number, version, at, author, body)
               SELECT ?1, ?2, ?3, coalesce(max(number), 0) + 1, ?4, ?5, ?6, ?7 FROM revision
               WHERE tenant = ?1 AND kind = ?2 AND name = ?3";
    let body = if revision.deleted { None } else { Some(to_json(WHAT, said)?) };
    let Revision { version, at, by, .. } = revision;
    rows::execute(connection, WHAT, sql, params![tenant.as_str(), kind.as_str(), name, version, at.0, by, body])?;
    let sql = "DELETE FROM revision WHERE tenant = ?1 AND kind = ?2 AND name = ?3 AND number <=
                   (SELECT max(number) FROM revision WHERE tenant = ?1 AND kind = ?2 AND name = ?3) - ?4";
    let kept = i64::try_from(REVISIONS_KEPT).unwrap_or(i64::MAX);
    rows::execute(connection, WHAT, sql, params![tenant.as_str(), kind.as_str(), name, kept]).map(|_| ())
}

/// Those of a name, the newest first.
pub(super) fn list(
    connection: &Connection,
    tenant: &TenantName,
    kind: DefinitionKind,
    name: &str,
) -> Result<Vec<Revision>, StoreError> {
    let sql = "SELECT number, version, at, author, body IS NULL FROM revision
               WHERE tenant = ?1 AND kind = ?2 AND name = ?3 ORDER BY number DESC";
    let mut statement = connection.prepare_cached(sql).during(WHAT)?;
    let found = statement.query_map(params![tenant.as_str(), kind.as_str(), name], revision).during(WHAT)?;
    found.collect::<Result<_, _>>().during(WHAT)
}

/// One, with what it says.
pub(super) fn get(
    connection: &Connection,
    tenant: &TenantName,
    kind: DefinitionKind,
    name: &str,
    number: u32,
) -> Result<Option<(Revision, Value)>, StoreError> {
    let sql = "SELECT number, version, at, author, body IS NULL, body FROM revision
               WHERE tenant = ?1 AND kind = ?2 AND name = ?3 AND number = ?4";
    let found: Option<(Revision, Option<String>)> = connection
        .prepare_cached(sql)
        .during(WHAT)?
        .query_row(params![tenant.as_str(), kind.as_str(), name, number], |row| Ok((revision(row)?, row.get(5)?)))
        .optional()
        .during(WHAT)?;
    let Some((revision, body)) = found else { return Ok(None) };
    let said = body.map_or(Ok(Value::Null), |body| from_json(WHAT, &body))?;
    Ok(Some((revision, said)))
}

fn revision(row: &rusqlite::Row<'_>) -> Result<Revision, rusqlite::Error> {
    Ok(Revision {
        number: row.get(0)?,
        version: row.get(1)?,
        at: Timestamp(row.get(2)?),
        by: row.get(3)?,
        deleted: row.get(4)?,
    })
}

/// The lock on a definition, if there is one.
pub(super) fn lock_of(
    connection: &Connection,
    tenant: &TenantName,
    kind: DefinitionKind,
    name: &str,
    version: i32,
) -> Result<Option<Document>, StoreError> {
    documents::get(connection, tenant, kind.lock(), name, Some(version))
}

/// Refuses what would change a definition that is locked.
pub(super) fn refuse_locked(
    connection: &Connection,
    tenant: &TenantName,
    kind: DefinitionKind,
    name: &str,
    version: i32,
) -> Result<(), StoreError> {
    lock_of(connection, tenant, kind, name, version)?.map_or(Ok(()), |lock| Err(locked(kind, lock)))
}
