//! Whether a record matches: what the compiled form in SQLite must agree with.

use std::borrow::Cow;

use conductor_engine::shown_task_type;
use conductor_model::{TaskRecord, Timestamp, WorkflowRecord};
use uuid::Uuid;

use super::expr::{Condition, Expr, Test, Value};
use super::field::{Field, TaskField, WorkflowField};
use super::words::{Document, has, workflow_document};

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cell<'a> {
    /// Not there.
    Missing,
    /// A number or moment.
    Number(i64),
    /// Text; a status too.
    Text(Cow<'a, str>),
    /// An id.
    Id(Uuid),
}

impl<'a> Cell<'a> {
    fn text(text: Option<&'a str>) -> Self {
        text.map_or(Self::Missing, |text| Self::Text(Cow::Borrowed(text)))
    }

    fn time(at: Option<Timestamp>) -> Self {
        at.map_or(Self::Missing, |at| Self::Number(at.0))
    }
}

/// A record that can be searched.
pub(crate) trait Row<F> {
    /// The value of a field.
    fn cell(&self, field: F) -> Cell<'_>;
    /// Its text.
    fn document(&self) -> Document;
    /// Its id, which a word may spell.
    fn id(&self) -> Uuid;
}

/// A workflow.
#[derive(Debug)]
pub(crate) struct WorkflowRow<'a>(pub(crate) &'a WorkflowRecord);

impl Row<WorkflowField> for WorkflowRow<'_> {
    fn cell(&self, field: WorkflowField) -> Cell<'_> {
        let record = self.0;
        match field {
            WorkflowField::WorkflowId => Cell::Id(record.id.0),
            WorkflowField::WorkflowType => Cell::text(Some(&record.name)),
            WorkflowField::Version => Cell::Number(record.version.into()),
            WorkflowField::Status => Cell::text(Some(record.status.as_str())),
            WorkflowField::CorrelationId => Cell::text(record.correlation_id.as_deref()),
            WorkflowField::StartTime => Cell::time(Some(record.created_at)),
            WorkflowField::UpdateTime => Cell::time(Some(record.updated_at)),
            WorkflowField::EndTime => Cell::time(record.ended_at),
            WorkflowField::ExecutionTime => {
                record.ended_at.map_or(Cell::Missing, |ended| Cell::Number(ended.ms_since(record.created_at)))
            }
            WorkflowField::ParentWorkflowId => record.parent_workflow_id.map_or(Cell::Missing, |id| Cell::Id(id.0)),
            WorkflowField::IdempotencyKey => Cell::text(record.idempotency_key.as_deref()),
            WorkflowField::Priority => Cell::Number(record.priority.into()),
            WorkflowField::CreatedBy => Cell::text(record.created_by.as_deref()),
            WorkflowField::Reason => Cell::text(record.reason.as_deref()),
        }
    }

    fn document(&self) -> Document {
        workflow_document(self.0)
    }

    fn id(&self) -> Uuid {
        self.0.id.0
    }
}

/// A task and its workflow.
#[derive(Debug)]
pub(crate) struct TaskRow<'a>(pub(crate) &'a TaskRecord, pub(crate) Option<&'a WorkflowRecord>);

impl Row<TaskField> for TaskRow<'_> {
    fn cell(&self, field: TaskField) -> Cell<'_> {
        let Self(task, workflow) = *self;
        match field {
            TaskField::TaskId => Cell::Id(task.id.0),
            TaskField::WorkflowId => Cell::Id(task.workflow_id.0),
            TaskField::WorkflowType => Cell::text(workflow.map(|workflow| workflow.name.as_str())),
            TaskField::CorrelationId => Cell::text(workflow.and_then(|workflow| workflow.correlation_id.as_deref())),
            TaskField::TaskType => Cell::text(Some(shown_task_type(task))),
            TaskField::TaskDefName => Cell::text(Some(&task.definition_name)),
            TaskField::ReferenceTaskName => Cell::text(Some(&task.reference)),
            TaskField::Status => Cell::text(Some(task.status.as_str())),
            TaskField::ScheduledTime => Cell::time(Some(task.scheduled_at)),
            TaskField::StartTime => Cell::time(task.started_at),
            TaskField::UpdateTime => Cell::time(Some(task.updated_at)),
            TaskField::EndTime => Cell::time(task.ended_at),
            TaskField::WorkerId => Cell::text(task.worker_id.as_deref()),
            TaskField::Domain => Cell::text(task.domain.as_deref()),
            TaskField::Priority => Cell::Number(task.priority.into()),
            TaskField::Reason => Cell::text(task.reason.as_deref()),
        }
    }

    fn document(&self) -> Document {
        Document::from(self.0)
    }

    fn id(&self) -> Uuid {
        self.0.id.0
    }
}

/// Whether the row matches.
pub(crate) fn matches<F: Field, R: Row<F>>(expr: &Expr<F>, row: &R) -> bool {
    match expr {
        Expr::Any => true,
        Expr::And(all) => all.iter().all(|one| matches(one, row)),
        Expr::Or(any) => any.iter().any(|one| matches(one, row)),
        Expr::Not(one) => !matches(one, row),
        Expr::Words(words) => words.as_id() == Some(row.id()) || has(&row.document(), words),
        Expr::Field(Condition { field, test }) => passes(test, &row.cell(*field)),
    }
}

fn passes(test: &Test, cell: &Cell<'_>) -> bool {
    match (test, cell) {
        (Test::Missing, cell) => *cell == Cell::Missing,
        (Test::Is(values), cell) => values.iter().any(|value| match (value, cell) {
            (Value::Text(wanted), Cell::Text(found)) => wanted == found,
            (Value::Number(wanted), Cell::Number(found)) => wanted == found,
            (Value::Id(wanted), Cell::Id(found)) => wanted == found,
            _ => false,
        }),
        (Test::StartsWith(beginning), Cell::Text(found)) => found.starts_with(beginning.as_str()),
        (Test::Range { from, to }, Cell::Number(found)) => {
            from.is_none_or(|from| *found >= from) && to.is_none_or(|to| *found <= to)
        }
        (Test::StartsWith(_) | Test::Range { .. }, _) => false,
    }
}
