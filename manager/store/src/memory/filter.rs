//! Whether a row is in a list.

use conductor_model::{TaskRecord, TenantName, WorkflowRecord};

use crate::{TaskFilter, WorkflowFilter};

/// Whether the filter lets the workflow through.
pub(super) fn workflow(record: &WorkflowRecord, tenant: &TenantName, filter: &WorkflowFilter) -> bool {
    record.tenant == *tenant
        && filter.name.as_ref().is_none_or(|name| *name == record.name)
        && (filter.statuses.is_empty() || filter.statuses.contains(&record.status))
        && (filter.correlation_id.is_none() || filter.correlation_id == record.correlation_id)
        && filter.version.is_none_or(|version| version == record.version)
        && filter.started_from.is_none_or(|from| record.created_at >= from)
        && filter.started_before.is_none_or(|before| record.created_at < before)
}

/// Whether the filter lets the task through.
pub(super) fn task(record: &TaskRecord, tenant: &TenantName, filter: &TaskFilter) -> bool {
    record.tenant == *tenant
        && filter.workflow.is_none_or(|workflow| workflow == record.workflow_id)
        && (filter.statuses.is_empty() || filter.statuses.contains(&record.status))
        && filter.definition_name.as_ref().is_none_or(|name| **name == *record.definition_name)
}

/// A stretch of rows that are newest first.
pub(super) fn stretch<'a, T: Clone + 'a>(rows: impl Iterator<Item = &'a T>, offset: u64, limit: usize) -> Vec<T> {
    rows.skip(usize::try_from(offset).unwrap_or(usize::MAX)).take(limit).cloned().collect()
}
