//! Rows of workflows.

use std::sync::Arc;

use conductor_model::{TenantName, Timestamp, WorkflowId, WorkflowRecord, WorkflowStatus};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde_json::Value;

use super::codec::{During, from_json, int, is_duplicate, name, rows, to_json, unsigned, workflow_id};
use super::payload::{self, Kind};
use super::search::first_place;
use super::search::text::TextChanges;
use crate::{OpenWorkflow, Page, StoreError, WorkflowFilter};

const COLUMNS: &str = "id, body, input, output, variables";

/// Stores a new workflow.
pub(super) fn insert(connection: &Connection, words: &mut TextChanges, mut record: WorkflowRecord) -> Result<(), StoreError> {
    const OPERATION: &str = "store a workflow";
    let id = record.id;
    let owner = id.as_bytes();
    let place = next_place(connection, record.created_at)?;
    words.put(place, &record);
    let input = payload::store(connection, owner, Kind::Input, &record.input)?;
    let (output, variables, body) = split(connection, &mut record)?;
    let mut statement = connection
        .prepare_cached(
            "INSERT INTO workflow (id, tenant, name, version, status, open, revision, snapshot, created_at, timer_at,
                 correlation_id, idempotency_key, input, output, variables, body, parent, place)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        )
        .during(OPERATION)?;
    let inserted = statement.execute(params![
        owner,
        record.tenant.as_str(),
        record.name,
        record.version,
        record.status.as_str(),
        !record.status.is_terminal(),
        int(record.revision),
        &*record.snapshot,
        record.created_at.0,
        record.timer_at.map(|at| at.0),
        record.correlation_id,
        record.idempotency_key,
        input,
        output,
        variables,
        body,
        record.parent_workflow_id.as_ref().map(WorkflowId::as_bytes),
        place,
    ]);
    match inserted {
        Err(error) if is_duplicate(&error) => {
            let what = format!("workflow {id}");
            Err(StoreError::Exists { what })
        }
        result => result.map(|_| ()).during(OPERATION),
    }
}

/// The next free place of a millisecond.
fn next_place(connection: &Connection, created_at: Timestamp) -> Result<i64, StoreError> {
    const OPERATION: &str = "find a place for a workflow";
    let (first, next) = (first_place(created_at.0), first_place(created_at.0.saturating_add(1)));
    let mut statement =
        connection.prepare_cached("SELECT max(place) FROM workflow WHERE place >= ?1 AND place < ?2").during(OPERATION)?;
    let last: Option<i64> = statement.query_row([first, next], |row| row.get(0)).during(OPERATION)?;
    Ok(last.map_or(first, |last| last + 1))
}

/// Stores a workflow as it stands now, if the stored revision is still `stored_revision`.
pub(super) fn update(
    connection: &Connection,
    words: &mut TextChanges,
    mut record: WorkflowRecord,
    stored_revision: u64,
    input_replaced: bool,
) -> Result<(), StoreError> {
    const OPERATION: &str = "update a workflow";
    let id = record.id;
    if input_replaced {
        replace_input(connection, &record)?;
    }
    let searched = (Arc::clone(&record.input), Arc::clone(&record.output));
    let (output, variables, body) = split(connection, &mut record)?;
    let (status, open) = (record.status.as_str(), !record.status.is_terminal());
    let timer_at = record.timer_at.map(|at| at.0);
    // Nearly always the status is as before: then no index needs to be touched.
    let mut same_status = connection
        .prepare_cached(
            "UPDATE workflow SET revision = ?4, timer_at = ?5, output = ?6, variables = ?7, body = ?8
             WHERE id = ?1 AND revision = ?2 AND status = ?3",
        )
        .during(OPERATION)?;
    let (stored, new) = (int(stored_revision), int(record.revision));
    let changed = same_status
        .execute(params![id.as_bytes(), stored, status, new, timer_at, output, variables, body])
        .during(OPERATION)?;
    if changed == 1 && open && !input_replaced {
        return Ok(());
    }
    if changed == 0 {
        if open {
            replace_origin(connection, &record)?;
        }
        let mut any_status = connection
            .prepare_cached(
                "UPDATE workflow SET status = ?3, revision = ?4, timer_at = ?5, output = ?6, variables = ?7, body = ?8,
                     open = ?9
                 WHERE id = ?1 AND revision = ?2",
            )
            .during(OPERATION)?;
        let changed = any_status
            .execute(params![id.as_bytes(), stored, status, new, timer_at, output, variables, body, open])
            .during(OPERATION)?;
        if changed == 0 {
            return Err(StoreError::Conflict { workflow: id });
        }
    }
    (record.input, record.output) = searched;
    words.put(place_of(connection, id)?, &record);
    Ok(())
}

/// Deletes a workflow with all that belongs to it. The definitions it ran by stay: others may run by them.
pub(super) fn remove(connection: &Connection, words: &mut TextChanges, id: WorkflowId) -> Result<(), StoreError> {
    const OPERATION: &str = "remove a workflow";
    let Some(place) = find_place(connection, id)? else { return Ok(()) };
    words.remove(place);
    for sql in [
        "DELETE FROM payload WHERE owner IN (SELECT id FROM task WHERE workflow_id = ?1)",
        "DELETE FROM task_log WHERE task IN (SELECT id FROM task WHERE workflow_id = ?1)",
        "DELETE FROM outbox WHERE task IN (SELECT id FROM task WHERE workflow_id = ?1)",
        "DELETE FROM task WHERE workflow_id = ?1",
        "DELETE FROM payload WHERE owner = ?1",
        "DELETE FROM workflow WHERE id = ?1",
    ] {
        connection.prepare_cached(sql).during(OPERATION)?.execute([id.as_bytes()]).during(OPERATION)?;
    }
    Ok(())
}

fn find_place(connection: &Connection, id: WorkflowId) -> Result<Option<i64>, StoreError> {
    const OPERATION: &str = "find a workflow's place";
    let mut statement = connection.prepare_cached("SELECT place FROM workflow WHERE id = ?1").during(OPERATION)?;
    statement.query_row([id.as_bytes()], |row| row.get(0)).optional().during(OPERATION)
}

/// Where a stored workflow is.
fn place_of(connection: &Connection, id: WorkflowId) -> Result<i64, StoreError> {
    find_place(connection, id)?.ok_or(StoreError::Conflict { workflow: id })
}

/// The workflow at a place.
pub(super) fn by_place(connection: &Connection, place: i64) -> Result<Option<WorkflowRecord>, StoreError> {
    one(connection, "place = ?1", &[Sql::Integer(place)])
}

/// Stores another input.
fn replace_input(connection: &Connection, record: &WorkflowRecord) -> Result<(), StoreError> {
    const OPERATION: &str = "replace a workflow's input";
    let input = payload::store(connection, record.id.as_bytes(), Kind::Input, &record.input)?;
    let mut statement = connection.prepare_cached("UPDATE workflow SET input = ?2 WHERE id = ?1").during(OPERATION)?;
    statement.execute(params![record.id.as_bytes(), input]).during(OPERATION)?;
    Ok(())
}

/// Stores what else may be another when a workflow runs once more: its correlation id and what it runs by.
fn replace_origin(connection: &Connection, record: &WorkflowRecord) -> Result<(), StoreError> {
    const OPERATION: &str = "update a workflow that runs once more";
    let sql = "UPDATE workflow SET correlation_id = ?2, version = ?3, snapshot = ?4
               WHERE id = ?1 AND (correlation_id IS NOT ?2 OR version <> ?3 OR snapshot <> ?4)";
    let mut statement = connection.prepare_cached(sql).during(OPERATION)?;
    let values = params![record.id.as_bytes(), record.correlation_id, record.version, &*record.snapshot];
    statement.execute(values).map(|_| ()).during(OPERATION)
}

/// Takes the payloads out of a record: output, variables and the rest as JSON. The input never changes after the start.
fn split(connection: &Connection, record: &mut WorkflowRecord) -> Result<(Option<String>, Option<String>, String), StoreError> {
    let id = record.id;
    let output = payload::store(connection, id.as_bytes(), Kind::Output, &record.output)?;
    let variables = payload::store(connection, id.as_bytes(), Kind::Variables, &record.variables)?;
    let null = Arc::new(Value::Null);
    record.input = Arc::clone(&null);
    record.output = Arc::clone(&null);
    record.variables = null;
    Ok((output, variables, to_json("store a workflow", record)?))
}

struct Columns {
    id: WorkflowId,
    body: String,
    input: Option<String>,
    output: Option<String>,
    variables: Option<String>,
}

fn columns(row: &Row<'_>) -> Result<Columns, rusqlite::Error> {
    let id = workflow_id(0, row.get_ref(0)?.as_blob()?)?;
    Ok(Columns { id, body: row.get(1)?, input: row.get(2)?, output: row.get(3)?, variables: row.get(4)? })
}

fn assemble(connection: &Connection, columns: Columns) -> Result<WorkflowRecord, StoreError> {
    let mut record: WorkflowRecord = from_json(&format!("workflow {}", columns.id), &columns.body)?;
    let owner = columns.id.as_bytes();
    record.input = payload::load(connection, owner, Kind::Input, columns.input)?;
    record.output = payload::load(connection, owner, Kind::Output, columns.output)?;
    record.variables = payload::load(connection, owner, Kind::Variables, columns.variables)?;
    Ok(record)
}

fn one(connection: &Connection, condition: &str, values: &[Sql]) -> Result<Option<WorkflowRecord>, StoreError> {
    const OPERATION: &str = "load a workflow";
    let found = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM workflow WHERE {condition}"))
        .during(OPERATION)?
        .query_row(params_from_iter(values), columns)
        .optional()
        .during(OPERATION)?;
    found.map(|columns| assemble(connection, columns)).transpose()
}

fn blob(id: WorkflowId) -> Sql {
    Sql::Blob(id.as_bytes().to_vec())
}

/// A workflow of any tenant.
pub(super) fn any(connection: &Connection, id: WorkflowId) -> Result<Option<WorkflowRecord>, StoreError> {
    one(connection, "id = ?1", &[blob(id)])
}

/// A workflow of a tenant.
pub(super) fn get(connection: &Connection, tenant: &TenantName, id: WorkflowId) -> Result<Option<WorkflowRecord>, StoreError> {
    one(connection, "id = ?1 AND tenant = ?2", &[blob(id), Sql::Text(tenant.as_str().to_owned())])
}

/// The newest workflow that was started with a key.
pub(super) fn by_idempotency_key(
    connection: &Connection,
    tenant: &TenantName,
    name: &str,
    key: &str,
) -> Result<Option<WorkflowRecord>, StoreError> {
    let values = [tenant.as_str(), name, key].map(|text| Sql::Text(text.to_owned()));
    one(connection, "tenant = ?1 AND name = ?2 AND idempotency_key = ?3 ORDER BY place DESC LIMIT 1", &values)
}

/// Each workflow that is not over.
pub(super) fn open(connection: &Connection) -> Result<Vec<OpenWorkflow>, StoreError> {
    const OPERATION: &str = "load the open workflows";
    let mut statement = connection
        .prepare_cached(
            "SELECT id, tenant, name, timer_at, coalesce(body ->> '$.priority', 0), body ->> '$.rate_limit_key',
                 coalesce(body ->> '$.rate_limited', 0), created_at
             FROM workflow WHERE open = 1 ORDER BY id",
        )
        .during(OPERATION)?;
    let rows = statement
        .query_map([], |row| {
            let timer: Option<i64> = row.get(3)?;
            Ok(OpenWorkflow {
                id: workflow_id(0, row.get_ref(0)?.as_blob()?)?,
                tenant: name(1, row.get(1)?)?,
                name: row.get(2)?,
                created_at: Timestamp(row.get(7)?),
                timer_at: timer.map(Timestamp),
                priority: row.get(4)?,
                rate_limit_key: row.get(5)?,
                rate_limited: row.get(6)?,
            })
        })
        .during(OPERATION)?;
    rows.collect::<Result<_, _>>().during(OPERATION)
}

/// Workflows that ended with a status before a moment and whose parent, if any, is gone.
///
/// Whatever ended before it was started before it, so that in the index by status a range of places is all that is looked at,
/// in that of each tenant: what is kept longer because it ended otherwise costs nothing.
pub(super) fn ended_before(
    connection: &Connection,
    status: WorkflowStatus,
    before: Timestamp,
    limit: usize,
) -> Result<Vec<(TenantName, WorkflowId)>, StoreError> {
    const OPERATION: &str = "find workflows that ended long ago";
    let sql = "WITH RECURSIVE owner (tenant) AS (
                   SELECT min(tenant) FROM workflow
                   UNION ALL
                   SELECT (SELECT min(tenant) FROM workflow WHERE tenant > owner.tenant) FROM owner WHERE owner.tenant IS NOT NULL
               )
               SELECT ended.id, ended.tenant FROM owner CROSS JOIN workflow AS ended INDEXED BY workflow_by_status
               ON ended.tenant = owner.tenant AND ended.status = ?1 AND ended.place < (?2 << 20)
               WHERE ended.body ->> '$.ended_at' < ?2
                   AND NOT EXISTS (SELECT 1 FROM workflow AS above WHERE above.id = ended.parent)
               LIMIT ?3";
    let mut statement = connection.prepare_cached(sql).during(OPERATION)?;
    let found = statement
        .query_map(params![status.as_str(), before.0, rows(limit)], |row| {
            Ok((name(1, row.get(1)?)?, workflow_id(0, row.get_ref(0)?.as_blob()?)?))
        })
        .during(OPERATION)?;
    found.collect::<Result<_, _>>().during(OPERATION)
}

/// Workflows, newest first.
pub(super) fn list(
    connection: &Connection,
    tenant: &TenantName,
    filter: &WorkflowFilter,
    page: Page<WorkflowId>,
) -> Result<Vec<WorkflowRecord>, StoreError> {
    const OPERATION: &str = "list workflows";
    let (mut condition, mut values) = conditions(tenant, filter);
    if let Some(before) = page.before {
        values.push(blob(before));
        condition.push_str(&format!(" AND place < (SELECT place FROM workflow WHERE id = ?{})", values.len()));
    }
    values.push(Sql::Integer(rows(page.limit)));
    values.push(Sql::Integer(int(page.offset)));
    let count = values.len();
    let sql =
        format!("SELECT {COLUMNS} FROM workflow WHERE {condition} ORDER BY place DESC LIMIT ?{} OFFSET ?{count}", count - 1);
    let mut statement = connection.prepare_cached(&sql).during(OPERATION)?;
    let found = statement.query_map(params_from_iter(values), columns).during(OPERATION)?;
    let found: Vec<Columns> = found.collect::<Result<_, _>>().during(OPERATION)?;
    found.into_iter().map(|columns| assemble(connection, columns)).collect()
}

/// How many workflows a filter matches, counted up to `at_most`.
pub(super) fn count(
    connection: &Connection,
    tenant: &TenantName,
    filter: &WorkflowFilter,
    at_most: u64,
) -> Result<u64, StoreError> {
    const OPERATION: &str = "count workflows";
    let (condition, mut values) = conditions(tenant, filter);
    values.push(Sql::Integer(int(at_most)));
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM workflow WHERE {condition} LIMIT ?{})", values.len());
    let mut statement = connection.prepare_cached(&sql).during(OPERATION)?;
    statement.query_row(params_from_iter(values), |row| row.get(0)).map(unsigned).during(OPERATION)
}

fn conditions(tenant: &TenantName, filter: &WorkflowFilter) -> (String, Vec<Sql>) {
    let mut condition = "tenant = ?1".to_owned();
    let mut values = vec![Sql::Text(tenant.as_str().to_owned())];
    let mut add = |clause: &str, value: Sql| {
        values.push(value);
        condition.push_str(&format!(" AND {clause} ?{}", values.len()));
    };
    if let Some(name) = &filter.name {
        add("name =", Sql::Text(name.clone()));
    }
    if let Some(correlation_id) = &filter.correlation_id {
        add("correlation_id =", Sql::Text(correlation_id.clone()));
    }
    if let Some(version) = filter.version {
        add("version =", Sql::Integer(version.into()));
    }
    if let Some(from) = filter.started_from {
        add("created_at >=", Sql::Integer(from.0));
    }
    if let Some(before) = filter.started_before {
        add("created_at <", Sql::Integer(before.0));
    }
    if !filter.statuses.is_empty() {
        let mut places = Vec::new();
        for status in &filter.statuses {
            values.push(Sql::Text(status.as_str().to_owned()));
            places.push(format!("?{}", values.len()));
        }
        condition.push_str(&format!(" AND status IN ({})", places.join(", ")));
    }
    (condition, values)
}
