//! Searching tasks, newest first by their ids.

use conductor_model::definition::TaskType;
use conductor_model::{TaskId, TaskRecord, TaskStatus, TenantName, WorkflowId};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params_from_iter};

use super::super::codec::{During, int, task_id, unsigned, workflow_id};
use super::super::tasks::{IN_OPEN_WORKFLOWS, OPEN_TASKS, get};
use super::conditions::{Statement, Table, condition, text};
use super::deadline::within;
use super::workflows::word;
use crate::StoreError;
use crate::search::{COUNT_LOOKED_AT_MAX, Condition, Expr, Found, OrderBy, Search, TaskField, Test, Value, Words};

const OPERATION: &str = "search tasks";
/// The condition of the index `task_failed`, word for word.
const FAILED: &str = " AND task.open = 0 AND task.status <> 'COMPLETED'";

/// How tasks are asked.
struct Tasks;

impl Table<TaskField> for Tasks {
    fn column(field: TaskField) -> &'static str {
        match field {
            TaskField::TaskId => "task.id",
            TaskField::WorkflowId => "task.workflow_id",
            TaskField::WorkflowType => "(SELECT name FROM workflow WHERE workflow.id = task.workflow_id)",
            TaskField::CorrelationId => "(SELECT correlation_id FROM workflow WHERE workflow.id = task.workflow_id)",
            TaskField::TaskType => {
                "(CASE json_extract(task.body, '$.task_type') WHEN 'SIMPLE' THEN task.definition_name \
                 WHEN 'DYNAMIC' THEN task.definition_name \
                 WHEN 'FORK_JOIN' THEN 'FORK' WHEN 'FORK_JOIN_DYNAMIC' THEN 'FORK' \
                 ELSE json_extract(task.body, '$.task_type') END)"
            }
            TaskField::TaskDefName => "task.definition_name",
            TaskField::ReferenceTaskName => "json_extract(task.body, '$.reference')",
            TaskField::Status => "task.status",
            TaskField::ScheduledTime => "json_extract(task.body, '$.scheduled_at')",
            TaskField::StartTime => "json_extract(task.body, '$.started_at')",
            TaskField::UpdateTime => "json_extract(task.body, '$.updated_at')",
            TaskField::EndTime => "json_extract(task.body, '$.ended_at')",
            TaskField::WorkerId => "json_extract(task.body, '$.worker_id')",
            TaskField::Domain => "json_extract(task.body, '$.domain')",
            TaskField::Priority => "coalesce(json_extract(task.body, '$.priority'), 0)",
            TaskField::Reason => "json_extract(task.body, '$.reason')",
        }
    }

    /// Tasks have no full-text index: thirteen of them would cost each workflow more than everything else that is stored.
    fn words(statement: &mut Statement, words: &Words) {
        statement.push("(task_has_words(task.definition_name, json_extract(task.body, '$.reference'), ");
        statement.push("json_extract(task.body, '$.reason'), ");
        for (column, kind) in [("input", 0), ("output", 1)] {
            let beside = format!("(SELECT body FROM payload WHERE owner = task.id AND kind = {kind})");
            statement.push(&format!("coalesce(task.{column}, {beside}), "));
        }
        statement.value(Sql::Text(words.tokens.join(" "))).push(", ").value(Sql::Integer(words.prefix.into())).push(")");
        if let Some(id) = words.as_id() {
            statement.push(" OR task.id = ").value(Sql::Blob(id.as_bytes().to_vec()));
        }
        statement.push(")");
    }
}

/// `WHERE …` of a search, with what helps SQLite to choose an index.
fn matching(select: &str, tenant: &TenantName, expr: &Expr<TaskField>) -> Statement {
    let parts = if let Expr::And(all) = expr { all } else { std::slice::from_ref(expr) };
    let conditions = || parts.iter().filter_map(|part| if let Expr::Field(condition) = part { Some(condition) } else { None });
    let open = conditions().any(asks_for_open) && !conditions().any(names_rows);
    let mut statement =
        Statement::new(format!("{select} FROM {} WHERE task.tenant = ", if open { OPEN_TASKS } else { "task" }));
    statement.value(text(tenant.as_str()));
    if open {
        statement.push(" AND ").push(IN_OPEN_WORKFLOWS);
    }
    for condition in conditions() {
        lead(&mut statement, condition, tenant);
    }
    statement.push(" AND ");
    condition::<TaskField, Tasks>(&mut statement, expr);
    statement
}

/// Says a condition once more in the words of an index.
fn lead(statement: &mut Statement, Condition { field, test }: &Condition<TaskField>, tenant: &TenantName) {
    let Test::Is(values) = test else { return };
    let places = |statement: &mut Statement, before: &str| {
        statement.push(before).list(values.iter().map(super::conditions::sql)).push(")");
    };
    match field {
        TaskField::TaskId => places(statement, " AND task.id IN ("),
        TaskField::WorkflowId => places(statement, " AND task.workflow_id IN ("),
        TaskField::TaskDefName => places(statement, " AND task.definition_name IN ("),
        TaskField::TaskType if values.iter().all(is_workers) => places(statement, " AND task.definition_name IN ("),
        TaskField::CorrelationId => {
            statement.push(" AND task.workflow_id IN (SELECT id FROM workflow WHERE tenant = ").value(text(tenant.as_str()));
            places(statement, " AND workflow.correlation_id IN (");
            statement.push(")");
        }
        TaskField::Status if statuses(values).all(|status| status.is_terminal() && status != TaskStatus::Completed) => {
            statement.push(FAILED);
        }
        _ => {}
    }
}

/// The statuses that are looked for. One that there is not counts as `COMPLETED`, for which there is no shorter way.
fn statuses(values: &[Value]) -> impl Iterator<Item = TaskStatus> {
    let status = |value: &Value| if let Value::Text(text) = value { text.parse().ok() } else { None };
    values.iter().map(move |value| status(value).unwrap_or(TaskStatus::Completed))
}

/// Whether only tasks match that are not over.
fn asks_for_open(Condition { field, test }: &Condition<TaskField>) -> bool {
    let Test::Is(values) = test else { return false };
    *field == TaskField::Status && statuses(values).all(|status| !status.is_terminal())
}

/// Whether a condition leads to a few rows by itself.
fn names_rows(Condition { field, test }: &Condition<TaskField>) -> bool {
    matches!(test, Test::Is(_)) && matches!(field, TaskField::TaskId | TaskField::WorkflowId | TaskField::CorrelationId)
}

/// Whether a task type is one that workers poll, which is called by its definition's name.
fn is_workers(value: &Value) -> bool {
    let Value::Text(name) = value else { return false };
    name != "FORK" && name.parse::<TaskType>().is_err()
}

/// What matches.
pub(in crate::sqlite) fn search(
    connection: &Connection,
    tenant: &TenantName,
    search: &Search<TaskField>,
) -> Result<Found<TaskRecord>, StoreError> {
    within(|| {
        let mut statement = matching("SELECT task.id", tenant, &search.matching);
        statement.push(" ORDER BY ");
        for OrderBy { field, direction } in &search.order {
            statement.push(&format!("{} {}, ", Tasks::column(*field), word(*direction)));
        }
        statement.push("task.id DESC LIMIT ").value(Sql::Integer(i64::try_from(search.limit).unwrap_or(i64::MAX)));
        statement.push(" OFFSET ").value(Sql::Integer(int(search.offset)));
        let ids: Vec<TaskId> = read(connection, &statement, |row| task_id(0, row.get_ref(0)?.as_blob()?))?;

        let mut counting = matching("SELECT count(*) FROM (SELECT 1", tenant, &search.matching);
        counting.push(" LIMIT ").value(Sql::Integer(int(COUNT_LOOKED_AT_MAX))).push(")");
        let counted = read(connection, &counting, |row| row.get(0).map(unsigned))?.pop().unwrap_or(0);

        let rows: Vec<TaskRecord> =
            ids.into_iter().filter_map(|id| get(connection, tenant, id).transpose()).collect::<Result<_, _>>()?;
        let shown = if rows.is_empty() { 0 } else { search.offset + rows.len() as u64 };
        Ok(Found { total: counted.max(shown), rows })
    })
}

/// The workflows of the newest tasks that match, each once.
pub(in crate::sqlite) fn workflows_of(
    connection: &Connection,
    tenant: &TenantName,
    expr: &Expr<TaskField>,
    tasks_at_most: u64,
) -> Result<Vec<WorkflowId>, StoreError> {
    within(|| {
        let mut statement = matching("SELECT task.workflow_id", tenant, expr);
        statement.push(" ORDER BY task.id DESC LIMIT ").value(Sql::Integer(int(tasks_at_most)));
        let mut found: Vec<WorkflowId> = read(connection, &statement, |row| workflow_id(0, row.get_ref(0)?.as_blob()?))?;
        let mut seen = std::collections::HashSet::new();
        found.retain(|id| seen.insert(*id));
        Ok(found)
    })
}

fn read<T>(
    connection: &Connection,
    statement: &Statement,
    row: impl FnMut(&rusqlite::Row<'_>) -> Result<T, rusqlite::Error>,
) -> Result<Vec<T>, StoreError> {
    let mut prepared = connection.prepare_cached(&statement.sql).during(OPERATION)?;
    let found = prepared.query_map(params_from_iter(&statement.values), row).during(OPERATION)?;
    found.collect::<Result<_, _>>().during(OPERATION)
}
