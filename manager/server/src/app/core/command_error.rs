//! Why a command was not carried out.

use conductor_engine::Refusal;
use conductor_model::{AgentId, TaskId, WorkflowId};
use conductor_store::StoreError;
use thiserror::Error;

/// Why a command changed nothing.
#[derive(Clone, Debug, Error)]
pub enum CommandError {
    /// No such workflow of this tenant.
    #[error("no such workflow: {0}")]
    UnknownWorkflow(WorkflowId),
    /// No such task of this tenant.
    #[error("no such task: {0}")]
    UnknownTask(TaskId),
    /// The engine refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The idempotency key is taken.
    #[error("idempotency key {key:?} was used to start workflow {holder}")]
    KeyUsed {
        /// The key.
        key: String,
        /// The workflow that was started with it last.
        holder: WorkflowId,
    },
    /// The input of a workflow to start breaks the schema that its definition enforces.
    #[error("workflow {name} cannot be started: {fault}")]
    InputUnfit {
        /// Name of the definition.
        name: String,
        /// Where the input breaks the schema, or that the schema is nowhere.
        fault: String,
    },
    /// As many runs as may go on do, and its definition says that one more is refused.
    #[error("{most} runs of workflow {name} with rate limit key {key:?} are going on, and no more are allowed at once")]
    RateLimited {
        /// Name of the definition.
        name: String,
        /// What the limit's key comes to.
        key: String,
        /// The limit.
        most: usize,
    },
    /// No such schedule of this tenant.
    #[error("no such schedule: {0}")]
    UnknownSchedule(String),
    /// There is no room for another.
    #[error("there are {most} {what}, and no more are kept")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        most: usize,
    },
    /// No such agent of this tenant.
    #[error("no such agent: {0}")]
    UnknownAgent(AgentId),
    /// The agent has tasks.
    #[error("agent {agent} has {tasks} tasks that are not over; wait for them, or remove it with force, which loses them")]
    AgentBusy {
        /// Which.
        agent: AgentId,
        /// How many.
        tasks: usize,
    },
    /// The task belongs to another workflow than the worker says.
    #[error("workflowInstanceId is {claimed:?}, but task {task} belongs to workflow {workflow}")]
    WorkflowMismatch {
        /// What the worker says.
        claimed: String,
        /// The task.
        task: TaskId,
        /// Its workflow.
        workflow: WorkflowId,
    },
    /// An agent runs the task; workers do not report on it.
    #[error("task {0} is run by an agent")]
    TaskOnAgent(TaskId),
    /// The agent belongs to another tenant.
    #[error("agent {0} belongs to another tenant")]
    ForeignAgent(AgentId),
    /// The store could not keep it; nothing was changed.
    #[error("it could not be stored")]
    NotStored(#[source] StoreError),
    /// The manager stops, or rebuilds its memory after a failure; try again.
    #[error("the manager is stopping or recovering; try again")]
    Unavailable,
}
