//! Which index leads to the rows of an alternative. Each gives them by place, so that the newest page is read and no more.

use conductor_model::{TenantName, WorkflowStatus};
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, params};

use super::super::codec::During;
use super::conditions::{Statement, condition, sql, text};
use super::text::{mark_of_name, mark_of_status, mark_of_tenant, question};
use super::workflows::Workflows;
use crate::StoreError;
use crate::search::{Condition, Expr, Test, Value, WorkflowField};

/// The beginning of a name may stand for so many names; beyond, the names are looked at row by row.
const NAMES_MAX: usize = 32;
/// Most values of one condition that each get a lane.
const VALUES_MAX: usize = 32;
/// Bits of a place below the milliseconds.
pub(in crate::sqlite) const PLACE_BITS: u32 = 20;
/// The last moment that has places, in ms.
const PLACE_MS_MAX: i64 = (1 << 42) - 1;

/// The first place of a moment.
pub(in crate::sqlite) fn first_place(ms: i64) -> i64 {
    ms.clamp(0, PLACE_MS_MAX) << PLACE_BITS
}

/// One way to rows: no two lanes of an alternative lead to the same row.
#[derive(Debug)]
pub(super) struct Lane {
    /// `FROM … WHERE …`; the place is `place` in it.
    pub(super) rows: Statement,
    /// The column that is the place.
    pub(super) place: &'static str,
    /// Whether the index alone answers.
    pub(super) index_alone: bool,
}

/// The lanes of an alternative.
pub(super) fn lanes(
    connection: &Connection,
    tenant: &TenantName,
    conditions: &[Expr<WorkflowField>],
) -> Result<Vec<Lane>, StoreError> {
    let mut wanted = Wanted::new(tenant, conditions);
    if wanted.statuses.is_empty() {
        // No row can match; SQLite refuses to use an index for what it knows to be empty.
        return Ok(Vec::new());
    }
    for field in [WorkflowField::WorkflowId, WorkflowField::CorrelationId, WorkflowField::ParentWorkflowId] {
        if let Some(values) = wanted.take_values(field) {
            return Ok(wanted.by_value(field, &values));
        }
    }
    if let Some(question) = wanted.question() {
        return Ok(vec![wanted.by_words(question)]);
    }
    if let Some(beginning) = wanted.beginning(WorkflowField::CorrelationId) {
        return Ok(vec![wanted.by_correlation_prefix(&beginning)]);
    }
    match wanted.names(connection)? {
        Some(names) => Ok(names.iter().flat_map(|name| wanted.by_status(Some(name))).collect()),
        None => Ok(wanted.by_status(None)),
    }
}

/// The conditions of an alternative, those taken out that an index will answer.
struct Wanted<'a> {
    tenant: &'a TenantName,
    statuses: Vec<WorkflowStatus>,
    /// First and last place.
    places: (i64, i64),
    rest: Vec<Expr<WorkflowField>>,
}

impl<'a> Wanted<'a> {
    fn new(tenant: &'a TenantName, conditions: &[Expr<WorkflowField>]) -> Self {
        let all = (0, i64::MAX);
        let mut wanted = Self { tenant, statuses: WorkflowStatus::ALL.to_vec(), places: all, rest: Vec::new() };
        for expr in conditions {
            if !wanted.take_in(expr) {
                wanted.rest.push(expr.clone());
            }
        }
        wanted
    }

    /// Takes in a condition on the status or the time of the start.
    fn take_in(&mut self, expr: &Expr<WorkflowField>) -> bool {
        let is = |values: &[Value], status: &WorkflowStatus| values.contains(&Value::Text(status.as_str().to_owned()));
        match expr {
            Expr::Field(Condition { field: WorkflowField::Status, test: Test::Is(values) }) => {
                self.statuses.retain(|status| is(values, status));
            }
            Expr::Field(Condition { field: WorkflowField::StartTime, test: Test::Range { from, to } }) => {
                let (first, last) = &mut self.places;
                *first = from.map_or(*first, |from| first_place(from).max(*first));
                let end = |to: i64| if to < 0 { -1 } else { first_place(to.saturating_add(1)) - 1 };
                *last = to.map_or(*last, |to| end(to).min(*last));
            }
            Expr::Not(one) => match one.as_ref() {
                Expr::Field(Condition { field: WorkflowField::Status, test: Test::Is(values) }) => {
                    self.statuses.retain(|status| !is(values, status));
                }
                _ => return false,
            },
            _ => return false,
        }
        true
    }

    fn take_values(&mut self, wanted: WorkflowField) -> Option<Vec<Value>> {
        let index = self.rest.iter().position(|expr| {
            matches!(expr, Expr::Field(Condition { field, test: Test::Is(values) })
                if *field == wanted && values.len() <= VALUES_MAX)
        })?;
        match self.rest.remove(index) {
            Expr::Field(Condition { test: Test::Is(values), .. }) => {
                let mut distinct: Vec<Value> = Vec::with_capacity(values.len());
                for value in values {
                    if !distinct.contains(&value) {
                        distinct.push(value);
                    }
                }
                Some(distinct)
            }
            _ => None,
        }
    }

    fn beginning(&self, wanted: WorkflowField) -> Option<String> {
        self.rest.iter().find_map(|expr| match expr {
            Expr::Field(Condition { field, test: Test::StartsWith(beginning) })
                if *field == wanted && !beginning.is_empty() =>
            {
                Some(beginning.clone())
            }
            _ => None,
        })
    }

    /// The names that are asked for, if few enough are.
    fn names(&mut self, connection: &Connection) -> Result<Option<Vec<String>>, StoreError> {
        if let Some(values) = self.take_values(WorkflowField::WorkflowType) {
            let text = |value: Value| if let Value::Text(name) = value { Some(name) } else { None };
            return Ok(Some(values.into_iter().filter_map(text).collect()));
        }
        let Some(beginning) = self.beginning(WorkflowField::WorkflowType) else { return Ok(None) };
        let names = names_with(connection, self.tenant, &beginning)?;
        if names.is_some() {
            self.rest.retain(|expr| {
                let known = Test::StartsWith(beginning.clone());
                *expr != Expr::Field(Condition { field: WorkflowField::WorkflowType, test: known })
            });
        }
        Ok(names)
    }

    /// Takes out what the full-text index answers; `None` when there are no words to look for.
    fn question(&mut self) -> Option<String> {
        let mut asked: Vec<String> = self.rest.iter().filter_map(question).collect();
        if asked.is_empty() {
            return None;
        }
        asked.push(format!("\"{}\"", mark_of_tenant(self.tenant.as_str())));
        if self.statuses.len() < WorkflowStatus::ALL.len() {
            let marks = self.statuses.iter().map(|status| format!("\"{}\"", mark_of_status(*status)));
            asked.push(format!("({})", marks.collect::<Vec<_>>().join(" OR ")));
        }
        for expr in &self.rest {
            asked.extend(marks_of_names(expr));
        }
        let not: Vec<String> = self.rest.iter().filter_map(negated_question).collect();
        let answered = |expr: &Expr<WorkflowField>| {
            question(expr).is_some() || marks_of_names(expr).is_some() || negated_question(expr).is_some()
        };
        self.rest.retain(|expr| !answered(expr));
        let mut question = asked.join(" AND ");
        if !not.is_empty() {
            question = format!("({question}) NOT ({})", not.join(" OR "));
        }
        Some(question)
    }

    fn by_words(&self, question: String) -> Lane {
        let place = "workflow_text.rowid";
        let join = if self.rest.is_empty() { "" } else { " CROSS JOIN workflow ON workflow.place = workflow_text.rowid" };
        let mut rows = Statement::new(format!(" FROM workflow_text{join} WHERE workflow_text MATCH "));
        rows.value(Sql::Text(question));
        self.bound(&mut rows, place);
        self.finish(rows, place, false)
    }

    fn by_value(&self, field: WorkflowField, values: &[Value]) -> Vec<Lane> {
        let (index, column) = match field {
            WorkflowField::CorrelationId => ("workflow_by_correlation", "correlation_id"),
            WorkflowField::ParentWorkflowId => ("workflow_by_parent", "parent"),
            _ => ("workflow_by_id", "id"),
        };
        let lane = |value: &Value| {
            let mut rows = Statement::new(format!(" FROM workflow INDEXED BY {index} WHERE tenant = "));
            rows.value(text(self.tenant.as_str())).push(&format!(" AND {column} = ")).value(sql(value));
            self.bound(&mut rows, "place");
            self.with_statuses(&mut rows);
            self.finish(rows, "place", false)
        };
        values.iter().map(lane).collect()
    }

    fn by_correlation_prefix(&self, beginning: &str) -> Lane {
        let mut rows = Statement::new(" FROM workflow INDEXED BY workflow_by_correlation WHERE tenant = ");
        rows.value(text(self.tenant.as_str())).push(" AND correlation_id >= ").value(text(beginning));
        rows.push(" AND correlation_id < ").value(Sql::Text(format!("{beginning}\u{10ffff}")));
        self.bound(&mut rows, "place");
        self.with_statuses(&mut rows);
        self.finish(rows, "place", false)
    }

    /// One lane for each status, because an index has its rows by place only below one value of each of its columns.
    fn by_status(&self, name: Option<&String>) -> Vec<Lane> {
        let lane = |status: &WorkflowStatus| {
            let index = if name.is_some() { "workflow_by_name" } else { "workflow_by_status" };
            let mut rows = Statement::new(format!(" FROM workflow INDEXED BY {index} WHERE tenant = "));
            rows.value(text(self.tenant.as_str()));
            if let Some(name) = name {
                rows.push(" AND name = ").value(text(name));
            }
            rows.push(" AND status = ").value(text(status.as_str()));
            self.bound(&mut rows, "place");
            self.finish(rows, "place", self.rest.is_empty())
        };
        self.statuses.iter().map(lane).collect()
    }

    fn bound(&self, rows: &mut Statement, place: &str) {
        if self.places != (0, i64::MAX) {
            rows.push(&format!(" AND {place} BETWEEN ")).value(Sql::Integer(self.places.0));
            rows.push(" AND ").value(Sql::Integer(self.places.1));
        }
    }

    fn with_statuses(&self, rows: &mut Statement) {
        if self.statuses.len() < WorkflowStatus::ALL.len() {
            rows.push(" AND status IN (").list(self.statuses.iter().map(|status| text(status.as_str()))).push(")");
        }
    }

    fn finish(&self, mut rows: Statement, place: &'static str, index_alone: bool) -> Lane {
        for expr in &self.rest {
            rows.push(" AND ");
            condition::<WorkflowField, Workflows>(&mut rows, expr);
        }
        Lane { rows, place, index_alone }
    }
}

/// The marks of the names that a condition on the name lets through.
fn marks_of_names(expr: &Expr<WorkflowField>) -> Option<String> {
    let Expr::Field(Condition { field: WorkflowField::WorkflowType, test }) = expr else { return None };
    match test {
        Test::Is(values) => {
            let mark = |value: &Value| match value {
                Value::Text(name) => format!("\"{}\"", mark_of_name(name)),
                Value::Number(_) | Value::Id(_) => "\"·none\"".to_owned(),
            };
            Some(format!("({})", values.iter().map(mark).collect::<Vec<_>>().join(" OR ")))
        }
        Test::StartsWith(beginning) if !beginning.is_empty() => Some(format!("(\"{}\"*)", mark_of_name(beginning))),
        Test::StartsWith(_) | Test::Range { .. } | Test::Missing => None,
    }
}

fn negated_question(expr: &Expr<WorkflowField>) -> Option<String> {
    match expr {
        Expr::Not(one) => question(one),
        _ => None,
    }
}

/// The names of workflows that begin so, each found with one step into the index; `None` when there are many.
fn names_with(connection: &Connection, tenant: &TenantName, beginning: &str) -> Result<Option<Vec<String>>, StoreError> {
    const OPERATION: &str = "look up names";
    let sql = |comparison: &str| {
        format!("SELECT name FROM workflow WHERE tenant = ?1 AND name {comparison} ?2 ORDER BY name LIMIT 1")
    };
    let mut names: Vec<String> = Vec::new();
    loop {
        let (comparison, after) = names.last().map_or((">=", beginning), |last| (">", last.as_str()));
        let mut statement = connection.prepare_cached(&sql(comparison)).during(OPERATION)?;
        let values = params![tenant.as_str(), after];
        let next: Option<String> = statement.query_row(values, |row| row.get(0)).optional().during(OPERATION)?;
        match next.filter(|name| name.starts_with(beginning)) {
            None => return Ok(Some(names)),
            Some(_) if names.len() == NAMES_MAX => return Ok(None),
            Some(name) => names.push(name),
        }
    }
}
