//! What a decision changes.

use std::sync::Arc;

use conductor_model::{AgentId, Details, Snapshot, TaskId, TaskRecord, WorkflowId, WorkflowRecord};

use crate::work::ChildOrder;

/// What changed and what is to be done about it.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    /// The workflow as it stands now, when it is new or changed itself: its revision grew by one then. Tasks that begin and
    /// end change it no more often than once in a second.
    pub workflow: Option<WorkflowRecord>,
    /// Every task that changed, once, as it stands now.
    pub tasks: Vec<TaskChange>,
    /// Tasks that are gone: the store deletes them with everything that belongs to them.
    pub removed: Vec<TaskId>,
    /// Other definitions that the workflow goes on with: they must be stored before it is.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Whether the workflow's input changed, which otherwise is stored once.
    pub input_replaced: bool,
    /// What to do once the change is stored.
    pub effects: Vec<Effect>,
    /// What to tell those who listen.
    pub feed: Vec<Feed>,
}

/// One changed task.
#[derive(Clone, Debug)]
pub struct TaskChange {
    /// The task as it stands now.
    pub record: TaskRecord,
    /// Whether it is new.
    pub inserted: bool,
}

/// What the manager does once the decision is stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send the task to the agent that it is assigned to.
    Dispatch {
        /// The task.
        task: TaskId,
    },
    /// Tell the agent to end the task.
    Cancel {
        /// The task.
        task: TaskId,
        /// Which dispatch.
        dispatch: u32,
        /// Who has it.
        agent: AgentId,
        /// Why, for people.
        reason: String,
    },
    /// Do what [`crate::Run::server_work`] says of the task, and answer with [`crate::Event::Performed`]. An effect with a
    /// higher turn for the same task replaces this one.
    Perform {
        /// The task.
        task: TaskId,
        /// Which perform of the task it is.
        turn: u32,
    },
    /// Start a workflow, in the same transaction. With a task, it is answered with [`crate::Event::ChildStarted`] or
    /// [`crate::Event::ChildRefused`].
    StartWorkflow {
        /// The task that starts it; none for a failure workflow.
        task: Option<TaskId>,
        /// What to start.
        order: Box<ChildOrder>,
    },
    /// End another workflow unless it is over: the task that waits for it was canceled.
    TerminateWorkflow {
        /// Which.
        workflow: WorkflowId,
        /// Why, for people.
        reason: String,
    },
    /// Retry another workflow, with its own sub-workflows: the task waits for it again. Answered with
    /// [`crate::Event::ChildRefused`] when that cannot be.
    RetryWorkflow {
        /// Which.
        workflow: WorkflowId,
        /// The task that waits for it.
        task: TaskId,
    },
    /// A timeout with policy ALERT_ONLY passed.
    Alert {
        /// The task, or none for the workflow.
        task: Option<TaskId>,
        /// What happened.
        message: String,
    },
}

/// One thing to tell those who listen; the caller adds number, tenant, time and ids.
#[derive(Clone, Debug)]
pub struct Feed {
    /// As in `task.completed`.
    pub kind: &'static str,
    /// The task it is about.
    pub task: Option<TaskId>,
    /// Details.
    pub data: Details,
}
