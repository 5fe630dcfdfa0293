//! The task types: one file each, and one table of them all.

mod decision;
pub(crate) mod do_while;
mod dynamic;
mod event;
mod exclusive_join;
mod fork_join;
pub(crate) mod fork_join_dynamic;
mod http;
mod human;
mod inline;
mod join;
mod json_jq_transform;
mod kafka_publish;
pub(crate) mod known;
mod lambda;
mod noop;
mod script;
pub(crate) mod set_variable;
mod simple;
mod start_workflow;
mod sub_workflow;
pub(crate) mod switch;
mod terminate;
mod wait;

use std::sync::Arc;

use conductor_model::definition::TaskType;
use conductor_model::{TaskRecord, WorkflowId, WorkflowTask};
use serde_json::Value;

pub use known::{
    StepScript, awaited_workflow, awaits_workflow, is_for_workers, is_limited, script_of, shown_task_type, waits_for_somebody,
    work_kind,
};

use crate::attempt;
use crate::ending::Ending;
use crate::frame::Site;
use crate::plan::{Compiler, Kind, NodeId};
use crate::run::Run;
use crate::state::Ix;
use crate::turn::Turn;
use crate::work::{PerformFailure, ServerWork, WorkKind};

/// Reads a step. Gets the step behind it, and the depth of its block.
pub(crate) type Compile = fn(&mut Compiler, NodeId, &Arc<WorkflowTask>, Option<&Arc<WorkflowTask>>, usize) -> Kind;

/// Who does a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// A worker or an agent.
    Worker,
    /// The manager, another workflow or a person: it can be tried again, and updated from outside.
    System,
    /// The engine: it decides where the flow goes. Never tried again, never updated.
    Operator,
}

/// What a task type does.
pub(crate) struct Behaviour {
    /// Who does it.
    pub role: Role,
    /// What the API calls it, as in `${ref.taskType}`; `None` = the name of its definition.
    pub name: Option<&'static str>,
    /// Whether a step of the type can be a branch of a dynamic fork by itself.
    pub forkable: bool,
    /// Whether the name of its definition is found when the step is reached, so that there is none before.
    pub named_late: bool,
    /// Whether what stands at a place of its `inputParameters`, as in `http_request.headers.x`, is handed over to somebody
    /// else, with secrets and environment values looked up.
    pub hands_over: fn(&WorkflowTask, &str) -> bool,
    /// Whether somebody outside can complete a task of the type, so that `asyncComplete` means something.
    pub completes_outside: bool,
    /// Which kind of work the manager does for its tasks; `None` = none.
    pub work_kind: Option<WorkKind>,
    /// The script that a step has, where it is one.
    pub script: fn(&WorkflowTask) -> Option<StepScript<'_>>,
    /// Whether nobody but a person, or a program that signals, ends the task, as it stands.
    pub asks: fn(&TaskRecord) -> bool,
    /// Checks a step of the type and reads what is in it.
    pub compile: Compile,
    /// Fills in the input, and what else is worked out when the step is reached. The error is for people and final.
    pub prepare: fn(&Turn<'_, '_>, Site, &mut TaskRecord) -> Result<(), String>,
    /// The task begins: at once, or after its start delay. Not for [`Role::Worker`].
    pub begin: fn(&mut Turn<'_, '_>, Ix),
    /// The moment `due_at` of a task in progress has come.
    pub due: fn(&mut Turn<'_, '_>, Ix),
    /// What the manager is to do for a task that is performing.
    pub work: fn(&Run, Ix) -> Option<ServerWork>,
    /// What came of that.
    pub performed: fn(&mut Turn<'_, '_>, Ix, Result<Value, PerformFailure>),
    /// The workflow that a task ordered was started; `None` = the type orders none.
    pub child_started: Option<fn(&mut Turn<'_, '_>, Ix, WorkflowId)>,
    /// Whether a task goes on until the workflow that it ordered is over.
    pub awaits_child: bool,
    /// The output of a task that is not over, as far as an expression asks for it by the key that follows; `None` = what its
    /// record has.
    pub so_far: fn(&Run, Ix, Option<&str>) -> Option<Value>,
    /// Whether a task that was over waits again when its workflow goes on. Any other is tried again.
    pub reopens: fn(&TaskRecord) -> bool,
    /// Sees how far the steps have come that an open task waits for: one was settled, or it waits again.
    pub look: fn(&mut Turn<'_, '_>, Ix),
    /// Schedules what a finished step has begun inside of it; `false` = nothing, so that the flow goes on behind it.
    pub enter: fn(&mut Turn<'_, '_>, Site) -> bool,
}

impl Behaviour {
    /// A type that is complete when it begins, from which the types differ.
    const fn base(role: Role, name: Option<&'static str>) -> Self {
        Self {
            role,
            name,
            forkable: true,
            named_late: false,
            hands_over: |_, _| false,
            completes_outside: false,
            work_kind: None,
            script: |_| None,
            asks: |_| false,
            compile: |_, _, _, _, _| Kind::Leaf,
            prepare: attempt::resolve,
            begin: |turn, ix| turn.end_task(ix, Ending::completed()),
            due: |_, _| {},
            work: |_, _| None,
            performed: |_, _, _| {},
            child_started: None,
            awaits_child: false,
            so_far: |_, _, _| None,
            reopens: |_| false,
            look: |_, _| {},
            enter: |_, _| false,
        }
    }
}

/// The parameter that a place in the `inputParameters` belongs to.
fn parameter(place: &str) -> &str {
    place.split(['.', '[']).next().unwrap_or(place)
}

/// The table of task types.
pub(crate) fn of(task_type: TaskType) -> &'static Behaviour {
    match task_type {
        TaskType::Simple => &simple::BEHAVIOUR,
        TaskType::Dynamic => &dynamic::BEHAVIOUR,
        TaskType::Switch => &switch::BEHAVIOUR,
        TaskType::Decision => &decision::BEHAVIOUR,
        TaskType::ForkJoin => &fork_join::BEHAVIOUR,
        TaskType::ForkJoinDynamic => &fork_join_dynamic::BEHAVIOUR,
        TaskType::Join => &join::BEHAVIOUR,
        TaskType::ExclusiveJoin => &exclusive_join::BEHAVIOUR,
        TaskType::DoWhile => &do_while::BEHAVIOUR,
        TaskType::SubWorkflow => &sub_workflow::BEHAVIOUR,
        TaskType::StartWorkflow => &start_workflow::BEHAVIOUR,
        TaskType::Event => &event::BEHAVIOUR,
        TaskType::Http => &http::BEHAVIOUR,
        TaskType::Inline => &inline::BEHAVIOUR,
        TaskType::Lambda => &lambda::BEHAVIOUR,
        TaskType::JsonJqTransform => &json_jq_transform::BEHAVIOUR,
        TaskType::SetVariable => &set_variable::BEHAVIOUR,
        TaskType::Terminate => &terminate::BEHAVIOUR,
        TaskType::Wait => &wait::BEHAVIOUR,
        TaskType::Human => &human::BEHAVIOUR,
        TaskType::Noop => &noop::BEHAVIOUR,
        TaskType::KafkaPublish => &kafka_publish::BEHAVIOUR,
    }
}
