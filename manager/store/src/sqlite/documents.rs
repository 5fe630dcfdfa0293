//! Registered documents, and which events are handled.

use conductor_model::{TenantName, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::codec::{During, name as parsed};
use super::rows;
use crate::{Document, DocumentKind, Putting, StoreError};

const WHAT: &str = "document";
const HANDLED: &str = "handled event";

pub(super) fn put(connection: &Connection, document: &Document, putting: Putting) -> Result<bool, StoreError> {
    let sql = match putting {
        Putting::New => {
            "INSERT INTO document (tenant, kind, name, version, body) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (tenant, kind, name, version) DO NOTHING"
        }
        Putting::Again => "UPDATE document SET body = ?5 WHERE tenant = ?1 AND kind = ?2 AND name = ?3 AND version = ?4",
        Putting::Either => {
            "INSERT INTO document (tenant, kind, name, version, body) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (tenant, kind, name, version) DO UPDATE SET body = excluded.body"
        }
    };
    let Document { tenant, kind, name, version, body } = document;
    rows::execute(connection, WHAT, sql, params![tenant.as_str(), kind.as_str(), name, version, body]).map(|count| count > 0)
}

pub(super) fn get(
    connection: &Connection,
    tenant: &TenantName,
    kind: DocumentKind,
    name: &str,
    version: Option<i32>,
) -> Result<Option<Document>, StoreError> {
    let sql = "SELECT tenant, name, version, body FROM document
               WHERE tenant = ?1 AND kind = ?2 AND name = ?3 AND (?4 IS NULL OR version = ?4)
               ORDER BY version DESC LIMIT 1";
    connection
        .prepare_cached(sql)
        .during(WHAT)?
        .query_row(params![tenant.as_str(), kind.as_str(), name, version], |row| document(kind, row))
        .optional()
        .during(WHAT)
}

/// Of one tenant, or of all.
pub(super) fn all(
    connection: &Connection,
    tenant: Option<&TenantName>,
    kind: DocumentKind,
) -> Result<Vec<Document>, StoreError> {
    let sql = "SELECT tenant, name, version, body FROM document
               WHERE kind = ?1 AND (?2 IS NULL OR tenant = ?2) ORDER BY tenant, name, version";
    let mut statement = connection.prepare_cached(sql).during(WHAT)?;
    let tenant = tenant.map(TenantName::as_str);
    let rows = statement.query_map(params![kind.as_str(), tenant], |row| document(kind, row)).during(WHAT)?;
    rows.collect::<Result<_, _>>().during(WHAT)
}

pub(super) fn delete(
    connection: &Connection,
    tenant: &TenantName,
    kind: DocumentKind,
    name: &str,
    version: Option<i32>,
) -> Result<bool, StoreError> {
    let sql = "DELETE FROM document WHERE tenant = ?1 AND kind = ?2 AND name = ?3 AND (?4 IS NULL OR version = ?4)";
    rows::execute(connection, WHAT, sql, params![tenant.as_str(), kind.as_str(), name, version]).map(|count| count > 0)
}

fn document(kind: DocumentKind, row: &rusqlite::Row<'_>) -> Result<Document, rusqlite::Error> {
    Ok(Document { tenant: parsed(0, row.get(0)?)?, kind, name: row.get(1)?, version: row.get(2)?, body: row.get(3)? })
}

pub(super) fn is_handled(connection: &Connection, key: &str) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM handled_event WHERE key = ?1)";
    connection.prepare_cached(sql).during(HANDLED)?.query_row([key], |row| row.get(0)).during(HANDLED)
}

pub(super) fn set_handled(connection: &Connection, key: &str, at: Timestamp, forget: Timestamp) -> Result<(), StoreError> {
    rows::execute(connection, HANDLED, "DELETE FROM handled_event WHERE at < ?1", params![forget.0])?;
    let sql = "INSERT INTO handled_event (key, at) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET at = excluded.at";
    rows::execute(connection, HANDLED, sql, params![key, at.0]).map(|_| ())
}
