//! Task and workflow definitions.

use conductor_model::{TaskDef, TenantName, WorkflowDef};
use rusqlite::{Connection, params};

use super::codec::to_json;
use super::rows;
use crate::StoreError;

const TASK: &str = "task definition";
const WORKFLOW: &str = "workflow definition";

pub(super) fn put_tasks(connection: &Connection, tenant: &TenantName, definitions: &[TaskDef]) -> Result<(), StoreError> {
    for definition in definitions {
        let sql = "INSERT INTO task_def (tenant, name, body) VALUES (?1, ?2, ?3)
                   ON CONFLICT (tenant, name) DO UPDATE SET body = excluded.body";
        let body = to_json(TASK, definition)?;
        rows::execute(connection, TASK, sql, params![tenant.as_str(), definition.name, body])?;
    }
    Ok(())
}

pub(super) fn task(connection: &Connection, tenant: &TenantName, name: &str) -> Result<Option<TaskDef>, StoreError> {
    let sql = "SELECT body FROM task_def WHERE tenant = ?1 AND name = ?2";
    rows::one(connection, TASK, sql, params![tenant.as_str(), name])
}

pub(super) fn tasks(connection: &Connection, tenant: &TenantName) -> Result<Vec<TaskDef>, StoreError> {
    rows::all(connection, TASK, "SELECT body FROM task_def WHERE tenant = ?1 ORDER BY name", [tenant.as_str()])
}

pub(super) fn delete_task(connection: &Connection, tenant: &TenantName, name: &str) -> Result<bool, StoreError> {
    let sql = "DELETE FROM task_def WHERE tenant = ?1 AND name = ?2";
    rows::execute(connection, TASK, sql, params![tenant.as_str(), name]).map(|count| count > 0)
}

pub(super) fn put_workflows(
    connection: &Connection,
    tenant: &TenantName,
    definitions: &[WorkflowDef],
    overwrite: bool,
) -> Result<(), StoreError> {
    for definition in definitions {
        let sql = if overwrite {
            "INSERT INTO workflow_def (tenant, name, version, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (tenant, name, version) DO UPDATE SET body = excluded.body"
        } else {
            "INSERT INTO workflow_def (tenant, name, version, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (tenant, name, version) DO NOTHING"
        };
        let body = to_json(WORKFLOW, definition)?;
        let values = params![tenant.as_str(), definition.name, definition.version, body];
        if rows::execute(connection, WORKFLOW, sql, values)? == 0 {
            let what = format!("workflow definition {} version {}", definition.name, definition.version);
            return Err(StoreError::Exists { what });
        }
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
) -> Result<bool, StoreError> {
    let sql = "DELETE FROM workflow_def WHERE tenant = ?1 AND name = ?2 AND version = ?3";
    rows::execute(connection, WORKFLOW, sql, params![tenant.as_str(), name, version]).map(|count| count > 0)
}
