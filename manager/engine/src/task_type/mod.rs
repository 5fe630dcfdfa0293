//! The task types: one file each, and one table of them all.

mod fork_join;
pub(crate) mod join;
pub(crate) mod simple;
pub(crate) mod switch;
mod unbuilt;

use std::sync::Arc;

use conductor_model::WorkflowTask;
use conductor_model::definition::TaskType;

use crate::plan::{Compiler, Kind, NodeId};
use crate::turn::Turn;

/// Reads a step. Gets the step behind it, and the depth of its block.
pub(crate) type Compile = fn(&mut Compiler, NodeId, &Arc<WorkflowTask>, Option<&Arc<WorkflowTask>>, usize) -> Kind;

/// What a task type does.
pub(crate) struct Behaviour {
    /// Checks a step of the type and reads what is in it.
    pub compile: Compile,
    /// The flow has come to a step of the type.
    pub schedule: fn(&mut Turn<'_, '_>, NodeId),
    /// Whether somebody outside does it: it can be polled, updated, timed out and tried again.
    pub external: bool,
    /// Its name in `${ref.taskType}`; `None` = the name of its definition.
    pub name: Option<&'static str>,
}

/// The table of task types.
pub(crate) fn of(task_type: TaskType) -> &'static Behaviour {
    match task_type {
        TaskType::Simple => &simple::BEHAVIOUR,
        TaskType::ForkJoin => &fork_join::BEHAVIOUR,
        TaskType::Join => &join::BEHAVIOUR,
        TaskType::Switch => &switch::BEHAVIOUR,
        TaskType::Dynamic
        | TaskType::Decision
        | TaskType::ForkJoinDynamic
        | TaskType::ExclusiveJoin
        | TaskType::DoWhile
        | TaskType::SubWorkflow
        | TaskType::StartWorkflow
        | TaskType::Event
        | TaskType::Http
        | TaskType::Inline
        | TaskType::Lambda
        | TaskType::JsonJqTransform
        | TaskType::SetVariable
        | TaskType::Terminate
        | TaskType::Wait
        | TaskType::Human
        | TaskType::Noop
        | TaskType::KafkaPublish => &unbuilt::BEHAVIOUR,
    }
}
