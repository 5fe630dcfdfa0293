//! Schedules and their runs.

use conductor_model::{Schedule, ScheduleRun, TenantName};
use rusqlite::{Connection, params};

use super::codec::{During, from_json, name, rows, to_json};
use super::rows::{all, execute};
use crate::{SCHEDULE_RUNS_KEPT, StoreError};

/// Stores a schedule, new or changed.
pub(super) fn put(connection: &Connection, tenant: &TenantName, schedule: &Schedule) -> Result<(), StoreError> {
    const OPERATION: &str = "store a schedule";
    let sql = "INSERT INTO schedule (tenant, name, body) VALUES (?1, ?2, ?3)
               ON CONFLICT (tenant, name) DO UPDATE SET body = excluded.body";
    let body = to_json(OPERATION, schedule)?;
    execute(connection, OPERATION, sql, params![tenant.as_str(), schedule.name, body]).map(|_| ())
}

/// Removes a schedule.
pub(super) fn delete(connection: &Connection, tenant: &TenantName, name: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM schedule WHERE tenant = ?1 AND name = ?2";
    execute(connection, "remove a schedule", sql, [tenant.as_str(), name]).map(|_| ())
}

/// All schedules of all tenants.
pub(super) fn every(connection: &Connection) -> Result<Vec<(TenantName, Schedule)>, StoreError> {
    const OPERATION: &str = "load the schedules";
    let mut statement =
        connection.prepare_cached("SELECT tenant, body FROM schedule ORDER BY tenant, name").during(OPERATION)?;
    let found =
        statement.query_map([], |row| Ok((name::<TenantName>(0, row.get(0)?)?, row.get::<_, String>(1)?))).during(OPERATION)?;
    let mut schedules = Vec::new();
    for row in found {
        let (tenant, body) = row.during(OPERATION)?;
        schedules.push((tenant, from_json("schedule", &body)?));
    }
    Ok(schedules)
}

/// Notes a run, and forgets the oldest of its schedule beyond [`SCHEDULE_RUNS_KEPT`].
pub(super) fn insert_run(connection: &Connection, tenant: &TenantName, run: &ScheduleRun) -> Result<(), StoreError> {
    const OPERATION: &str = "store a run of a schedule";
    let body = to_json(OPERATION, run)?;
    let (tenant, schedule) = (tenant.as_str(), run.schedule_name.as_str());
    let sql = "INSERT INTO schedule_run (tenant, schedule, body) VALUES (?1, ?2, ?3)";
    execute(connection, OPERATION, sql, params![tenant, schedule, body])?;
    let sql = "DELETE FROM schedule_run WHERE tenant = ?1 AND schedule = ?2 AND id <= (
                   SELECT id FROM schedule_run WHERE tenant = ?1 AND schedule = ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3)";
    execute(connection, OPERATION, sql, params![tenant, schedule, rows(SCHEDULE_RUNS_KEPT)]).map(|_| ())
}

/// Runs of one schedule or of all of a tenant, newest first.
pub(super) fn runs(
    connection: &Connection,
    tenant: &TenantName,
    schedule: Option<&str>,
    limit: usize,
) -> Result<Vec<ScheduleRun>, StoreError> {
    const WHAT: &str = "run of a schedule";
    let tenant = tenant.as_str();
    match schedule {
        Some(schedule) => {
            let sql = "SELECT body FROM schedule_run WHERE tenant = ?1 AND schedule = ?2 ORDER BY id DESC LIMIT ?3";
            all(connection, WHAT, sql, params![tenant, schedule, rows(limit)])
        }
        None => {
            let sql = "SELECT body FROM schedule_run WHERE tenant = ?1 ORDER BY id DESC LIMIT ?2";
            all(connection, WHAT, sql, params![tenant, rows(limit)])
        }
    }
}
