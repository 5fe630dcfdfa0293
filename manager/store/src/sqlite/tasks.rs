//! Rows of tasks.

use std::sync::Arc;

use conductor_model::{TaskId, TaskRecord, TenantName, WorkflowId};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, Row, params, params_from_iter};
use serde_json::Value;

use super::codec::{During, from_json, int, is_duplicate, rows, task_id, to_json};
use super::payload::{self, Kind};
use crate::{Page, StoreError, TaskFilter};

const COLUMNS: &str = "task.id, task.body, task.input, task.output";

/// Where tasks are looked for that are not over: in the workflows that are not over, of which there are few. SQLite is told
/// the way there, for it takes a longer one to spare itself the sorting.
pub(super) const OPEN_TASKS: &str = "task INDEXED BY task_by_workflow";
/// Goes with [`OPEN_TASKS`].
pub(super) const IN_OPEN_WORKFLOWS: &str =
    "task.open = 1 AND task.workflow_id IN (SELECT workflow.id FROM workflow WHERE workflow.open = 1)";

/// Stores a new task.
pub(super) fn insert(connection: &Connection, mut record: TaskRecord) -> Result<(), StoreError> {
    const OPERATION: &str = "store a task";
    let id = record.id;
    let input = payload::store(connection, id.as_bytes(), Kind::Input, &record.input)?;
    let (output, body) = split(connection, &mut record)?;
    let mut statement = connection
        .prepare_cached(
            "INSERT INTO task (id, workflow_id, seq, tenant, definition_name, status, open, input, output, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )
        .during(OPERATION)?;
    let inserted = statement.execute(params![
        id.as_bytes(),
        record.workflow_id.as_bytes(),
        record.seq,
        record.tenant.as_str(),
        &*record.definition_name,
        record.status.as_str(),
        !record.status.is_terminal(),
        input,
        output,
        body,
    ]);
    match inserted {
        Err(error) if is_duplicate(&error) => Err(StoreError::Exists { what: format!("task {id}") }),
        result => result.map(|_| ()).during(OPERATION),
    }
}

/// Stores a task as it stands now.
pub(super) fn update(connection: &Connection, mut record: TaskRecord) -> Result<(), StoreError> {
    const OPERATION: &str = "update a task";
    let id = record.id;
    let (output, body) = split(connection, &mut record)?;
    let (status, open) = (record.status.as_str(), !record.status.is_terminal());
    if open {
        // A task that was open and still is stays where it is in every index.
        let mut still_open = connection
            .prepare_cached("UPDATE task SET status = ?2, output = ?3, body = ?4 WHERE id = ?1 AND open = 1")
            .during(OPERATION)?;
        if still_open.execute(params![id.as_bytes(), status, output, body]).during(OPERATION)? == 1 {
            return Ok(());
        }
    }
    let mut any = connection
        .prepare_cached("UPDATE task SET status = ?3, output = ?4, body = ?5, open = ?2 WHERE id = ?1")
        .during(OPERATION)?;
    match any.execute(params![id.as_bytes(), open, status, output, body]).during(OPERATION)? {
        1 => Ok(()),
        _ => Err(StoreError::Backend { operation: OPERATION, message: format!("task {id} is not stored") }),
    }
}

/// Deletes tasks with what belongs to them.
pub(super) fn remove(connection: &Connection, ids: &[TaskId]) -> Result<(), StoreError> {
    const OPERATION: &str = "remove tasks";
    for id in ids {
        for sql in
            ["DELETE FROM task WHERE id = ?1", "DELETE FROM payload WHERE owner = ?1", "DELETE FROM task_log WHERE task = ?1"]
        {
            connection.prepare_cached(sql).during(OPERATION)?.execute(params![id.as_bytes()]).during(OPERATION)?;
        }
    }
    Ok(())
}

/// Takes the payloads out of a record: the output and the rest as JSON. The input never changes after scheduling.
fn split(connection: &Connection, record: &mut TaskRecord) -> Result<(Option<String>, String), StoreError> {
    let output = payload::store(connection, record.id.as_bytes(), Kind::Output, &record.output)?;
    let null = Arc::new(Value::Null);
    record.input = Arc::clone(&null);
    record.output = null;
    Ok((output, to_json("store a task", record)?))
}

struct Columns {
    id: TaskId,
    body: String,
    input: Option<String>,
    output: Option<String>,
}

fn columns(row: &Row<'_>) -> Result<Columns, rusqlite::Error> {
    let id = task_id(0, row.get_ref(0)?.as_blob()?)?;
    Ok(Columns { id, body: row.get(1)?, input: row.get(2)?, output: row.get(3)? })
}

fn assemble(connection: &Connection, columns: Columns) -> Result<TaskRecord, StoreError> {
    let mut record: TaskRecord = from_json(&format!("task {}", columns.id), &columns.body)?;
    record.input = payload::load(connection, columns.id.as_bytes(), Kind::Input, columns.input)?;
    record.output = payload::load(connection, columns.id.as_bytes(), Kind::Output, columns.output)?;
    Ok(record)
}

fn select(connection: &Connection, rest: &str, values: &[Sql]) -> Result<Vec<TaskRecord>, StoreError> {
    select_from(connection, "task", rest, values)
}

fn select_from(connection: &Connection, from: &str, rest: &str, values: &[Sql]) -> Result<Vec<TaskRecord>, StoreError> {
    const OPERATION: &str = "load tasks";
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM {from} {rest}")).during(OPERATION)?;
    let found = statement.query_map(params_from_iter(values), columns).during(OPERATION)?;
    let found: Vec<Columns> = found.collect::<Result<_, _>>().during(OPERATION)?;
    found.into_iter().map(|columns| assemble(connection, columns)).collect()
}

fn text(tenant: &TenantName) -> Sql {
    Sql::Text(tenant.as_str().to_owned())
}

/// One task of a tenant.
pub(super) fn get(connection: &Connection, tenant: &TenantName, id: TaskId) -> Result<Option<TaskRecord>, StoreError> {
    let values = [Sql::Blob(id.as_bytes().to_vec()), text(tenant)];
    select(connection, "WHERE id = ?1 AND tenant = ?2", &values).map(|mut found| found.pop())
}

/// All tasks of a workflow of any tenant, by `seq`.
pub(super) fn of_run(connection: &Connection, id: WorkflowId) -> Result<Vec<TaskRecord>, StoreError> {
    select(connection, "WHERE workflow_id = ?1 ORDER BY seq", &[Sql::Blob(id.as_bytes().to_vec())])
}

/// A stretch of a workflow's tasks, by `seq`.
pub(super) fn of_workflow(
    connection: &Connection,
    tenant: &TenantName,
    id: WorkflowId,
    after_seq: u32,
    limit: usize,
) -> Result<Vec<TaskRecord>, StoreError> {
    let values = [Sql::Blob(id.as_bytes().to_vec()), text(tenant), Sql::Integer(after_seq.into()), Sql::Integer(rows(limit))];
    select(connection, "WHERE workflow_id = ?1 AND tenant = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4", &values)
}

/// Each task that is not over, in workflows that are not over.
pub(super) fn open(connection: &Connection) -> Result<Vec<TaskRecord>, StoreError> {
    select_from(connection, OPEN_TASKS, &format!("WHERE {IN_OPEN_WORKFLOWS} ORDER BY task.id"), &[])
}

/// Tasks, newest first.
pub(super) fn list(
    connection: &Connection,
    tenant: &TenantName,
    filter: &TaskFilter,
    page: Page<TaskId>,
) -> Result<Vec<TaskRecord>, StoreError> {
    let open = !filter.statuses.is_empty() && filter.statuses.iter().all(|status| !status.is_terminal());
    let mut condition = "WHERE tenant = ?1".to_owned();
    let mut values = vec![text(tenant)];
    let mut add = |clause: &str, value: Sql| {
        values.push(value);
        condition.push_str(&format!(" AND {clause} ?{}", values.len()));
    };
    if let Some(workflow) = filter.workflow {
        add("workflow_id =", Sql::Blob(workflow.as_bytes().to_vec()));
    }
    if let Some(name) = &filter.definition_name {
        add("definition_name =", Sql::Text(name.clone()));
    }
    if let Some(before) = page.before {
        add("id <", Sql::Blob(before.as_bytes().to_vec()));
    }
    if !filter.statuses.is_empty() {
        if open && filter.workflow.is_none() {
            condition.push_str(&format!(" AND {IN_OPEN_WORKFLOWS}"));
        }
        let mut places = Vec::new();
        for status in &filter.statuses {
            values.push(Sql::Text(status.as_str().to_owned()));
            places.push(format!("?{}", values.len()));
        }
        condition.push_str(&format!(" AND status IN ({})", places.join(", ")));
    }
    values.push(Sql::Integer(rows(page.limit)));
    values.push(Sql::Integer(int(page.offset)));
    let count = values.len();
    let from = if open { OPEN_TASKS } else { "task" };
    select_from(connection, from, &format!("{condition} ORDER BY id DESC LIMIT ?{} OFFSET ?{count}", count - 1), &values)
}
