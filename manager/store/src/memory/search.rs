//! Searches: every record is looked at.

use std::cmp::Ordering;

use conductor_model::{TaskRecord, TenantName, WorkflowId, WorkflowRecord};

use super::state::State;
use crate::search::{
    COUNT_LOOKED_AT_MAX, Direction, Expr, Field, Found, OrderBy, Row, Search, TaskField, TaskRow, WorkflowField, WorkflowRow,
    by_start, matches,
};

/// What matches.
pub(super) fn workflows(state: &State, tenant: &TenantName, search: &Search<WorkflowField>) -> Found<WorkflowRecord> {
    let mut found: Vec<&WorkflowRecord> = state
        .newest_first(None)
        .filter(|record| record.tenant == *tenant && matches(&search.matching, &WorkflowRow(record)))
        .collect();
    match by_start(&search.order) {
        Some(Direction::Descending) => {}
        Some(Direction::Ascending) => found.reverse(),
        None => found.sort_by(|a, b| compare(&search.order, &WorkflowRow(a), &WorkflowRow(b))),
    }
    stretch(search, &found)
}

/// What matches.
pub(super) fn tasks(state: &State, tenant: &TenantName, search: &Search<TaskField>) -> Found<TaskRecord> {
    let row = |task| TaskRow(task, state.workflows.get(&task.workflow_id));
    let mut found: Vec<&TaskRecord> = matching_tasks(state, tenant, &search.matching).collect();
    found.sort_by(|a, b| compare(&search.order, &row(a), &row(b)));
    stretch(search, &found)
}

/// The workflows of the newest tasks that match, each once.
pub(super) fn workflows_of_tasks(
    state: &State,
    tenant: &TenantName,
    expr: &Expr<TaskField>,
    tasks_at_most: u64,
) -> Vec<WorkflowId> {
    let at_most = usize::try_from(tasks_at_most).unwrap_or(usize::MAX);
    let mut seen = std::collections::HashSet::new();
    let tasks = matching_tasks(state, tenant, expr).take(at_most);
    tasks.map(|task| task.workflow_id).filter(|id| seen.insert(*id)).collect()
}

fn matching_tasks<'a>(
    state: &'a State,
    tenant: &'a TenantName,
    expr: &'a Expr<TaskField>,
) -> impl Iterator<Item = &'a TaskRecord> {
    state
        .tasks
        .values()
        .rev()
        .filter(move |task| task.tenant == *tenant && matches(expr, &TaskRow(task, state.workflows.get(&task.workflow_id))))
}

/// By the fields in turn; what is equal in all of them stays as it is, newest first.
fn compare<F: Field, R: Row<F>>(order: &[OrderBy<F>], one: &R, other: &R) -> Ordering {
    let by = |by: &OrderBy<F>| {
        let ordering = one.cell(by.field).cmp(&other.cell(by.field));
        if by.direction == Direction::Descending { ordering.reverse() } else { ordering }
    };
    order.iter().map(by).find(|ordering| ordering.is_ne()).unwrap_or(Ordering::Equal)
}

fn stretch<F, T: Clone>(search: &Search<F>, found: &[&T]) -> Found<T> {
    let skip = usize::try_from(search.offset).unwrap_or(usize::MAX);
    let rows: Vec<T> = found.iter().skip(skip).take(search.limit).map(|row| (*row).clone()).collect();
    let shown = if rows.is_empty() { 0 } else { search.offset + rows.len() as u64 };
    Found { total: (found.len() as u64).min(COUNT_LOOKED_AT_MAX).max(shown), rows }
}
