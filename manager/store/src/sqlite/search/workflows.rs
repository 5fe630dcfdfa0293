//! Searching workflows.

use std::collections::BTreeSet;

use conductor_model::{TenantName, WorkflowRecord};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, params_from_iter};

use super::super::codec::{During, int, unsigned};
use super::super::workflows::by_place;
use super::conditions::{Statement, Table, condition, text};
use super::deadline::within;
use super::disjuncts::alternatives;
use super::drive::{Lane, lanes};
use super::text::phrase;
use crate::StoreError;
use crate::search::{COUNT_LOOKED_AT_MAX, COUNT_MAX, Direction, Found, OrderBy, Search, Words, WorkflowField, by_start};

const OPERATION: &str = "search workflows";

/// How workflows are asked.
pub(super) struct Workflows;

impl Table<WorkflowField> for Workflows {
    fn column(field: WorkflowField) -> &'static str {
        match field {
            WorkflowField::WorkflowId => "workflow.id",
            WorkflowField::WorkflowType => "workflow.name",
            WorkflowField::Version => "workflow.version",
            WorkflowField::Status => "workflow.status",
            WorkflowField::CorrelationId => "workflow.correlation_id",
            WorkflowField::StartTime => "workflow.created_at",
            WorkflowField::UpdateTime => "json_extract(workflow.body, '$.updated_at')",
            WorkflowField::EndTime => "json_extract(workflow.body, '$.ended_at')",
            WorkflowField::ExecutionTime => "(json_extract(workflow.body, '$.ended_at') - workflow.created_at)",
            WorkflowField::ParentWorkflowId => "workflow.parent",
            WorkflowField::IdempotencyKey => "workflow.idempotency_key",
            WorkflowField::Priority => "coalesce(json_extract(workflow.body, '$.priority'), 0)",
            WorkflowField::CreatedBy => "json_extract(workflow.body, '$.created_by')",
            WorkflowField::Reason => "json_extract(workflow.body, '$.reason')",
        }
    }

    fn words(statement: &mut Statement, words: &Words) {
        statement.push("(EXISTS (SELECT 1 FROM workflow_text WHERE workflow_text MATCH ").value(Sql::Text(phrase(words)));
        statement.push(" AND workflow_text.rowid = workflow.place)");
        if let Some(id) = words.as_id() {
            statement.push(" OR workflow.id = ").value(Sql::Blob(id.as_bytes().to_vec()));
        }
        statement.push(")");
    }
}

/// What matches.
pub(in crate::sqlite) fn search(
    connection: &Connection,
    tenant: &TenantName,
    search: &Search<WorkflowField>,
) -> Result<Found<WorkflowRecord>, StoreError> {
    within(|| {
        let alternatives = alternatives(&search.matching);
        let lanes = alternatives
            .iter()
            .map(|conditions| lanes(connection, tenant, conditions))
            .collect::<Result<Vec<Vec<Lane>>, StoreError>>()?;
        let places = match by_start(&search.order) {
            Some(direction) => in_order_of_start(connection, &lanes, search, direction)?,
            None => sorted(connection, tenant, search)?,
        };
        let counted = count(connection, &lanes)?;
        let rows: Vec<WorkflowRecord> =
            places.into_iter().filter_map(|place| by_place(connection, place).transpose()).collect::<Result<_, _>>()?;
        let shown = if rows.is_empty() { 0 } else { search.offset + rows.len() as u64 };
        Ok(Found { total: counted.max(shown), rows })
    })
}

fn places(connection: &Connection, statement: &Statement) -> Result<Vec<i64>, StoreError> {
    let mut prepared = connection.prepare_cached(&statement.sql).during(OPERATION)?;
    let found = prepared.query_map(params_from_iter(&statement.values), |row| row.get(0)).during(OPERATION)?;
    found.collect::<Result<_, _>>().during(OPERATION)
}

/// The places of a stretch: each lane gives its own first ones, and they are merged.
fn in_order_of_start(
    connection: &Connection,
    lanes: &[Vec<Lane>],
    search: &Search<WorkflowField>,
    direction: Direction,
) -> Result<Vec<i64>, StoreError> {
    let mut found = Vec::new();
    let enough = search.offset.saturating_add(search.limit as u64);
    for lane in lanes.iter().flatten() {
        let mut statement =
            Statement { sql: format!("SELECT {}{}", lane.place, lane.rows.sql), values: lane.rows.values.clone() };
        statement.push(&format!(" ORDER BY {} {} LIMIT ", lane.place, word(direction))).value(Sql::Integer(int(enough)));
        found.extend(places(connection, &statement)?);
    }
    match direction {
        Direction::Ascending => found.sort_unstable(),
        Direction::Descending => found.sort_unstable_by(|a, b| b.cmp(a)),
    }
    found.dedup();
    let skip = usize::try_from(search.offset).unwrap_or(usize::MAX);
    Ok(found.into_iter().skip(skip).take(search.limit).collect())
}

/// The places of a stretch in another order, for which all that matches must be looked at.
fn sorted(connection: &Connection, tenant: &TenantName, search: &Search<WorkflowField>) -> Result<Vec<i64>, StoreError> {
    let mut statement = Statement::new("SELECT place FROM workflow WHERE tenant = ");
    statement.value(text(tenant.as_str())).push(" AND ");
    condition::<WorkflowField, Workflows>(&mut statement, &search.matching);
    statement.push(" ORDER BY ");
    for OrderBy { field, direction } in &search.order {
        statement.push(&format!("{} {}, ", Workflows::column(*field), word(*direction)));
    }
    statement.push("place DESC LIMIT ").value(Sql::Integer(i64::try_from(search.limit).unwrap_or(i64::MAX)));
    statement.push(" OFFSET ").value(Sql::Integer(int(search.offset)));
    places(connection, &statement)
}

pub(super) fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Ascending => "ASC",
        Direction::Descending => "DESC",
    }
}

/// How many rows there are, up to a bound. A row that several alternatives lead to counts once.
fn count(connection: &Connection, lanes: &[Vec<Lane>]) -> Result<u64, StoreError> {
    let only_indices = lanes.iter().flatten().all(|lane| lane.index_alone);
    let [lanes] = lanes else {
        return count_distinct(connection, lanes.iter().flatten());
    };
    let at_most = if only_indices { COUNT_MAX } else { COUNT_LOOKED_AT_MAX };
    let mut total = 0;
    for lane in lanes {
        let left: u64 = at_most.saturating_sub(total);
        let mut statement =
            Statement { sql: format!("SELECT count(*) FROM (SELECT 1{}", lane.rows.sql), values: lane.rows.values.clone() };
        statement.push(" LIMIT ").value(Sql::Integer(int(left))).push(")");
        let mut prepared = connection.prepare_cached(&statement.sql).during(OPERATION)?;
        total += prepared.query_row(params_from_iter(&statement.values), |row| row.get(0)).map(unsigned).during(OPERATION)?;
    }
    Ok(total)
}

fn count_distinct<'a>(connection: &Connection, lanes: impl Iterator<Item = &'a Lane>) -> Result<u64, StoreError> {
    let mut distinct = BTreeSet::new();
    for lane in lanes {
        let mut statement =
            Statement { sql: format!("SELECT {}{}", lane.place, lane.rows.sql), values: lane.rows.values.clone() };
        statement.push(" LIMIT ").value(Sql::Integer(int(COUNT_LOOKED_AT_MAX)));
        distinct.extend(places(connection, &statement)?);
    }
    Ok((distinct.len() as u64).min(COUNT_LOOKED_AT_MAX))
}
