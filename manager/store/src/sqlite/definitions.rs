//! Task and workflow definitions. Each change of one is noted as a revision; one that is locked is not changed.

use conductor_model::{TaskDef, TenantName, Timestamp, WorkflowDef};
use rusqlite::{Connection, params};
use serde_json::Value;

use super::codec::to_json;
use super::{revisions, rows};
use crate::revision::{Change, Definition, change};
use crate::{DefinitionKind, Revision, StoreError};

const TASK: &str = "task definition";
const WORKFLOW: &str = "workflow definition";

pub(super) fn put_tasks(connection: &Connection, tenant: &TenantName, definitions: &[TaskDef]) -> Result<(), StoreError> {
    for definition in definitions {
        let before = task(connection, tenant, &definition.name)?;
        if !note(connection, tenant, definition, before.as_ref(), 1)? {
            continue;
        }
        let sql = "INSERT INTO task_def (tenant, name, body) VALUES (?1, ?2, ?3)
                   ON CONFLICT (tenant, name) DO UPDATE SET body = excluded.body";
        let body = to_json(TASK, definition)?;
        rows::execute(connection, TASK, sql, params![tenant.as_str(), definition.name, body])?;
    }
    Ok(())
}

/// Notes what storing a definition changes, unless its lock forbids it; false = there is nothing to store.
fn note<D: Definition>(
    connection: &Connection,
    tenant: &TenantName,
    definition: &D,
    before: Option<&D>,
    version: i32,
) -> Result<bool, StoreError> {
    let lock = revisions::lock_of(connection, tenant, D::KIND, definition.name(), version)?;
    match change(definition, before, lock)? {
        Change::None => return Ok(false),
        Change::Stamps => {}
        Change::Revision(said) => {
            let revision = Revision::of(definition);
            revisions::add(connection, tenant, D::KIND, definition.name(), &revision, &said)?;
        }
    }
    Ok(true)
}

pub(super) fn task(connection: &Connection, tenant: &TenantName, name: &str) -> Result<Option<TaskDef>, StoreError> {
    let sql = "SELECT body FROM task_def WHERE tenant = ?1 AND name = ?2";
    rows::one(connection, TASK, sql, params![tenant.as_str(), name])
}

pub(super) fn tasks(connection: &Connection, tenant: &TenantName) -> Result<Vec<TaskDef>, StoreError> {
    rows::all(connection, TASK, "SELECT body FROM task_def WHERE tenant = ?1 ORDER BY name", [tenant.as_str()])
}

pub(super) fn delete_task(
    connection: &Connection,
    tenant: &TenantName,
    name: &str,
    by: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    if task(connection, tenant, name)?.is_none() {
        return Ok(false);
    }
    revisions::refuse_locked(connection, tenant, DefinitionKind::Task, name, 1)?;
    let sql = "DELETE FROM task_def WHERE tenant = ?1 AND name = ?2";
    rows::execute(connection, TASK, sql, params![tenant.as_str(), name])?;
    let removal = Revision::removal(None, by, at);
    revisions::add(connection, tenant, DefinitionKind::Task, name, &removal, &Value::Null)?;
    Ok(true)
}

pub(super) fn put_workflows(
    connection: &Connection,
    tenant: &TenantName,
    definitions: &[WorkflowDef],
    overwrite: bool,
) -> Result<(), StoreError> {
    for definition in definitions {
        let before = workflow(connection, tenant, &definition.name, Some(definition.version))?;
        if !overwrite && before.is_some() {
            let what = format!("workflow definition {} version {}", definition.name, definition.version);
            return Err(StoreError::Exists { what });
        }
        if !note(connection, tenant, definition, before.as_ref(), definition.version)? {
            continue;
        }
        let sql = "INSERT INTO workflow_def (tenant, name, version, body) VALUES (?1, ?2, ?3, ?4)
                   ON CONFLICT (tenant, name, version) DO UPDATE SET body = excluded.body";
        let body = to_json(WORKFLOW, definition)?;
        rows::execute(connection, WORKFLOW, sql, params![tenant.as_str(), definition.name, definition.version, body])?;
    }
    Ok(())
}

pub(super) fn workflow(
    connection: &Connection,
    tenant: &TenantName,
    name: &str,
    version: Option<i32>,
) -> Result<Option<WorkflowDef>, StoreError> {
    let sql = "SELECT body FROM workflow_def WHERE tenant = ?1 AND name = ?2 AND (?3 IS NULL OR version = ?3)
               ORDER BY version DESC LIMIT 1";
    rows::one(connection, WORKFLOW, sql, params![tenant.as_str(), name, version])
}

pub(super) fn workflows(connection: &Connection, tenant: &TenantName) -> Result<Vec<WorkflowDef>, StoreError> {
    let sql = "SELECT body FROM workflow_def WHERE tenant = ?1 ORDER BY name, version";
    rows::all(connection, WORKFLOW, sql, [tenant.as_str()])
}

pub(super) fn delete_workflow(
    connection: &Connection,
    tenant: &TenantName,
    name: &str,
    version: i32,
    by: &str,
    at: Timestamp,
) -> Result<bool, StoreError> {
    if workflow(connection, tenant, name, Some(version))?.is_none() {
        return Ok(false);
    }
    revisions::refuse_locked(connection, tenant, DefinitionKind::Workflow, name, version)?;
    let sql = "DELETE FROM workflow_def WHERE tenant = ?1 AND name = ?2 AND version = ?3";
    rows::execute(connection, WORKFLOW, sql, params![tenant.as_str(), name, version])?;
    let removal = Revision::removal(Some(version), by, at);
    revisions::add(connection, tenant, DefinitionKind::Workflow, name, &removal, &Value::Null)?;
    Ok(true)
}
