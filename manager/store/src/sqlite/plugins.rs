//! Plugins; the archives lie in the file store.

use conductor_model::{PluginDigest, PluginName, PluginRecord, TenantName};
use rusqlite::{Connection, params};

use super::codec::to_json;
use super::rows;
use crate::StoreError;

const WHAT: &str = "plugin";

pub(super) fn put(connection: &Connection, plugin: &PluginRecord) -> Result<bool, StoreError> {
    if by_digest(connection, &plugin.tenant, &plugin.digest)?.is_some() {
        return Ok(false);
    }
    let sql = "INSERT INTO plugin (tenant, digest, name, version, uploaded_at, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT DO NOTHING";
    let body = to_json(WHAT, plugin)?;
    let (tenant, digest, name) = (plugin.tenant.as_str(), plugin.digest.as_str(), plugin.name.as_str());
    let values = params![tenant, digest, name, plugin.version, plugin.uploaded_at.0, body];
    match rows::execute(connection, WHAT, sql, values)? {
        0 => Err(StoreError::Exists { what: format!("another archive of plugin {name} version {}", plugin.version) }),
        _ => Ok(true),
    }
}

pub(super) fn all(connection: &Connection, tenant: &TenantName) -> Result<Vec<PluginRecord>, StoreError> {
    let sql = "SELECT body FROM plugin WHERE tenant = ?1 ORDER BY name, uploaded_at, rowid";
    rows::all(connection, WHAT, sql, [tenant.as_str()])
}

pub(super) fn get(
    connection: &Connection,
    tenant: &TenantName,
    name: &PluginName,
    version: Option<&str>,
) -> Result<Option<PluginRecord>, StoreError> {
    let sql = "SELECT body FROM plugin WHERE tenant = ?1 AND name = ?2 AND (?3 IS NULL OR version = ?3)
               ORDER BY uploaded_at DESC, rowid DESC LIMIT 1";
    rows::one(connection, WHAT, sql, params![tenant.as_str(), name.as_str(), version])
}

pub(super) fn by_digest(
    connection: &Connection,
    tenant: &TenantName,
    digest: &PluginDigest,
) -> Result<Option<PluginRecord>, StoreError> {
    let sql = "SELECT body FROM plugin WHERE tenant = ?1 AND digest = ?2";
    rows::one(connection, WHAT, sql, params![tenant.as_str(), digest.as_str()])
}

pub(super) fn delete(connection: &Connection, tenant: &TenantName, digest: &PluginDigest) -> Result<bool, StoreError> {
    let sql = "DELETE FROM plugin WHERE tenant = ?1 AND digest = ?2";
    rows::execute(connection, WHAT, sql, params![tenant.as_str(), digest.as_str()]).map(|count| count > 0)
}
