//! What is told of the task types outside the engine, looked up in their table.

use conductor_model::definition::TaskType;
use conductor_model::{TaskRecord, TaskStatus, WorkflowId, WorkflowTask};

use super::{Role, of};
use crate::work::{ScriptLanguage, ScriptStyle, WorkKind};

/// The script of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepScript<'s> {
    /// Where it stands in the step, as in `inputParameters.expression`.
    pub place: &'static str,
    /// What it is written in.
    pub language: ScriptLanguage,
    /// How it is read.
    pub style: ScriptStyle,
    /// The script; it may have expressions that are not resolved.
    pub source: &'s str,
}

impl<'s> StepScript<'s> {
    /// A JavaScript program.
    pub(super) fn javascript(place: &'static str, source: &'s str) -> Self {
        Self { place, language: ScriptLanguage::JavaScript, style: ScriptStyle::Expression, source }
    }
}

/// What the API calls the type of a task: a worker's task bears its definition's name, a fork is called FORK.
#[must_use]
pub fn shown_task_type(task: &TaskRecord) -> &str {
    of(task.task_type).name.unwrap_or(&task.definition_name)
}

/// Whether a worker or an agent does a task.
#[must_use]
pub fn is_for_workers(task: &TaskRecord) -> bool {
    of(task.task_type).role == Role::Worker
}

/// Whether a task orders a workflow and goes on until that is over.
#[must_use]
pub fn awaits_workflow(task: &TaskRecord) -> bool {
    of(task.task_type).awaits_child
}

/// The workflow that such a task has ordered.
#[must_use]
pub fn awaited_workflow(task: &TaskRecord) -> Option<WorkflowId> {
    task.sub_workflow_id.filter(|_| awaits_workflow(task))
}

/// Which kind of work the manager does for tasks of a type; `None` = none.
#[must_use]
pub fn work_kind(task_type: TaskType) -> Option<WorkKind> {
    of(task_type).work_kind
}

/// Whether the limits of a task definition are meant for the work of the manager's own at such a step: not for what only
/// decides where the flow goes.
#[must_use]
pub fn is_limited(task_type: TaskType) -> bool {
    let behaviour = of(task_type);
    behaviour.work_kind.is_some() && behaviour.role == Role::System
}

/// The script that a step has, where it is one.
#[must_use]
pub fn script_of(step: &WorkflowTask) -> Option<StepScript<'_>> {
    (of(step.task_type).script)(step)
}

/// A task that only somebody outside can end: HUMAN, and WAIT without a time.
#[must_use]
pub fn waits_for_somebody(task: &TaskRecord) -> bool {
    task.status == TaskStatus::InProgress && (of(task.task_type).asks)(task)
}
