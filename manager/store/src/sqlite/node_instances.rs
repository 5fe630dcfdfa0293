//! Node instances and their optimistic versions.

use conductor_model::{NodeInstance, TenantName};
use rusqlite::{Connection, params};

use super::codec::{int, to_json};
use super::rows;
use crate::StoreError;

const WHAT: &str = "node instance";

pub(super) fn ensure(connection: &Connection, instance: NodeInstance) -> Result<NodeInstance, StoreError> {
    if let Some(stored) = get(connection, &instance.tenant, &instance.id)? {
        return Ok(stored);
    }
    let sql = "INSERT INTO node_instance (tenant, id, version, body) VALUES (?1, ?2, ?3, ?4)";
    let body = to_json(WHAT, &instance)?;
    let values = params![instance.tenant.as_str(), instance.id, int(instance.version), body];
    rows::execute(connection, WHAT, sql, values)?;
    Ok(instance)
}

pub(super) fn get(connection: &Connection, tenant: &TenantName, id: &str) -> Result<Option<NodeInstance>, StoreError> {
    let sql = "SELECT body FROM node_instance WHERE tenant = ?1 AND id = ?2";
    rows::one(connection, WHAT, sql, params![tenant.as_str(), id])
}

pub(super) fn all(connection: &Connection, tenant: &TenantName) -> Result<Vec<NodeInstance>, StoreError> {
    rows::all(connection, WHAT, "SELECT body FROM node_instance WHERE tenant = ?1 ORDER BY id", [tenant.as_str()])
}

pub(super) fn update(connection: &Connection, mut instance: NodeInstance) -> Result<Option<NodeInstance>, StoreError> {
    let Some(stored) = get(connection, &instance.tenant, &instance.id)? else { return Ok(None) };
    if stored.version > instance.version {
        return Err(StoreError::StaleVersion { stored: stored.version, sent: instance.version });
    }
    instance.version = instance.version.saturating_add(1);
    let sql = "UPDATE node_instance SET version = ?3, body = ?4 WHERE tenant = ?1 AND id = ?2";
    let body = to_json(WHAT, &instance)?;
    let values = params![instance.tenant.as_str(), instance.id, int(instance.version), body];
    rows::execute(connection, WHAT, sql, values)?;
    Ok(Some(instance))
}
