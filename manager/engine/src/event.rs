//! What can happen to a workflow, and what the engine is told about the world while it decides.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor_model::ids::IdSource;
use conductor_model::{AgentId, Outcome, TaskId, TaskStatus, TenantName, Timestamp, WorkflowId, WorkflowStatus};
use serde_json::{Map, Value};
use thiserror::Error;

pub use crate::catalogue::{Catalogue, LocalTime, NoCatalogue};
use crate::plan::Plan;
use crate::work::PerformFailure;

/// What the engine may know of the world while it decides.
pub struct Context<'a> {
    /// Now.
    pub now: Timestamp,
    /// Where new task ids come from.
    pub ids: &'a mut dyn IdSource,
    /// A number from 0.0 up to 1.0, for retry jitter.
    pub jitter: f64,
    /// What the engine may look up.
    pub catalogue: &'a dyn Catalogue,
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("now", &self.now).field("jitter", &self.jitter).finish_non_exhaustive()
    }
}

/// A request to start a workflow. The snapshot that it runs by is chosen by the caller.
#[derive(Clone, Debug)]
pub struct StartRequest {
    /// The new run's id.
    pub id: WorkflowId,
    /// Owner.
    pub tenant: TenantName,
    /// Input as given; the definition's template fills what is absent.
    pub input: Map<String, Value>,
    /// The starter's own id for it.
    pub correlation_id: Option<String>,
    /// The idempotency key, already checked by the caller.
    pub idempotency_key: Option<String>,
    /// 0 to 99.
    pub priority: u8,
    /// Task type → domain.
    pub task_to_domain: BTreeMap<String, String>,
    /// Who starts it.
    pub created_by: Option<String>,
    /// The workflow and task that hear of its end.
    pub parent: Option<(WorkflowId, TaskId)>,
    /// The event that starts it.
    pub event: Option<String>,
    /// The key under which it counts against a limit of running workflows.
    pub rate_limit_key: Option<String>,
    /// Whether it waits for [`Event::Admitted`] before its first step.
    pub rate_limited: bool,
}

impl StartRequest {
    /// A plain start: nothing but what every one has.
    #[must_use]
    pub fn new(id: WorkflowId, tenant: TenantName, input: Map<String, Value>) -> Self {
        Self {
            id,
            tenant,
            input,
            correlation_id: None,
            idempotency_key: None,
            priority: 0,
            task_to_domain: BTreeMap::new(),
            created_by: None,
            parent: None,
            event: None,
            rate_limit_key: None,
            rate_limited: false,
        }
    }
}

/// What can happen to a run.
#[derive(Clone, Debug)]
pub enum Event {
    /// A worker polled the task: SCHEDULED → IN_PROGRESS. Only tasks without an agent part, and only when visible.
    Polled {
        /// The task.
        task: TaskId,
        /// Who has it now.
        worker: String,
    },
    /// A worker reported on the task (POST /tasks).
    Updated(WorkerUpdate),
    /// Placement gave the task to an agent. The task stays SCHEDULED until the agent has started it.
    Assigned {
        /// The task.
        task: TaskId,
        /// To whom.
        agent: AgentId,
        /// That agent's incarnation.
        incarnation: String,
        /// Runners-up.
        alternates: Vec<AgentId>,
    },
    /// The agent started the process: SCHEDULED → IN_PROGRESS.
    Started {
        /// The task.
        task: TaskId,
        /// Which dispatch it was; another than the current one is ignored.
        dispatch: u32,
        /// When, by the agent's clock corrected to the manager's.
        at: Timestamp,
    },
    /// The agent says the task ended.
    Finished {
        /// The task.
        task: TaskId,
        /// Which dispatch it was; another than the current one is ignored.
        dispatch: u32,
        /// How it ended.
        outcome: AgentOutcome,
    },
    /// The agent is alive and still has the task: counts as a word from its worker (response timeout).
    Renewed {
        /// The task.
        task: TaskId,
        /// Which dispatch it was.
        dispatch: u32,
    },
    /// Nobody knows how far the task came: its agent went away or lost its journal. An idempotent task, or one that had
    /// not been started by an agent that surely never received it, goes back to placement; another follows the retry
    /// rules with outcome `lost`.
    Lost {
        /// The task.
        task: TaskId,
        /// Which dispatch it was.
        dispatch: u32,
        /// Why, for people.
        reason: String,
        /// Whether it is certain that the task was never begun: then it may be sent again in any case.
        never_begun: bool,
    },
    /// The plugin or its version does not exist, or the task cannot ever be sent: ends it as refused, terminally.
    Unplaceable {
        /// The task.
        task: TaskId,
        /// Why, for people.
        reason: String,
    },
    /// The moment `TaskRecord::timer_at` has come.
    TaskTimer {
        /// The task.
        task: TaskId,
    },
    /// The moment `WorkflowRecord::timer_at` has come.
    WorkflowTimer,
    /// The manager's own work on a task came to this.
    Performed {
        /// The task.
        task: TaskId,
        /// Which perform it was; another than the current one is ignored.
        turn: u32,
        /// What came of it.
        result: Result<Value, PerformFailure>,
    },
    /// The workflow that the task ordered was started.
    ChildStarted {
        /// The task.
        task: TaskId,
        /// The workflow; an earlier one when the idempotency key was used before.
        workflow: WorkflowId,
    },
    /// The workflow that the task ordered, or its retry, cannot be.
    ChildRefused {
        /// The task.
        task: TaskId,
        /// Why, for people.
        reason: String,
        /// Whether another attempt would be refused for the same reason.
        terminal: bool,
    },
    /// The workflow that the task waits for is over.
    ChildEnded {
        /// The task.
        task: TaskId,
        /// The workflow.
        workflow: WorkflowId,
        /// How it ended.
        status: WorkflowStatus,
        /// Its output.
        output: Map<String, Value>,
        /// Why it ended badly.
        reason: Option<String>,
    },
    /// The workflow that the task waited for goes on again, on somebody's request: so does this one, if it is over.
    ChildRevived {
        /// The task.
        task: TaskId,
    },
    /// It is the workflow's turn: see [`StartRequest::rate_limited`].
    Admitted,
    /// Try again what failed in a workflow that ended badly.
    Retry {
        /// Whether failed sub-workflows are retried themselves, instead of being started anew.
        resume_subworkflows: bool,
    },
    /// Run a workflow that is over once more from its start.
    Restart {
        /// The definitions to run by; `None` = the same as before.
        plan: Option<Arc<Plan>>,
    },
    /// Run a workflow that is over once more from a task on.
    Rerun {
        /// From where; `None` = from the start.
        from: Option<TaskId>,
        /// Replaces that task's input.
        task_input: Option<Map<String, Value>>,
        /// Replaces the workflow's input.
        workflow_input: Option<Map<String, Value>>,
        /// Replaces the correlation id.
        correlation_id: Option<String>,
    },
    /// A workflow that a task of this one waited for is run once more from within: so is this one, which is over, from the
    /// task on, and the task waits for that workflow again.
    RerunChild {
        /// The task.
        task: TaskId,
        /// Replaces the workflow's input.
        workflow_input: Option<Map<String, Value>>,
        /// Replaces the correlation id.
        correlation_id: Option<String>,
    },
    /// Do without a step that was not scheduled yet.
    Skip {
        /// Which.
        reference: String,
        /// What to show as its input.
        input: Map<String, Value>,
        /// What others see as its output.
        output: Map<String, Value>,
    },
    /// Let polling workers have at once what asked to be left alone.
    ResetCallbacks,
    /// Set variables of the workflow; the others stay.
    SetVariables {
        /// By name.
        variables: Map<String, Value>,
        /// Whether a list is put behind the list that the variable holds, instead of in its place.
        append: bool,
    },
    /// Schedule nothing new.
    Pause,
    /// Go on.
    Resume,
    /// End the workflow by request.
    Terminate {
        /// Why, for people.
        reason: Option<String>,
    },
    /// End the workflow by request, as one that failed: its failure workflow is started.
    TerminateAsFailed {
        /// Why, for people.
        reason: Option<String>,
    },
}

/// What a worker reports (Conductor API: TaskResult).
#[derive(Clone, Debug)]
pub struct WorkerUpdate {
    /// The task.
    pub task: TaskId,
    /// How it stands.
    pub status: WorkerStatus,
    /// Its output.
    pub output: Map<String, Value>,
    /// Merge `output` over the stored output (by-reference endpoints) instead of replacing it.
    pub merge_output: bool,
    /// Why it failed.
    pub reason: Option<String>,
    /// Who reports.
    pub worker_id: Option<String>,
    /// IN_PROGRESS: leave it alone for so many seconds.
    pub callback_after_seconds: i64,
    /// Only renews the lease; nothing else of the update is applied.
    pub extend_lease: bool,
}

/// The statuses that a worker may report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerStatus {
    /// Not done yet: back to the queue after the callback time.
    InProgress,
    /// Done.
    Completed,
    /// Failed; may be tried again.
    Failed,
    /// Failed for good.
    FailedWithTerminalError,
}

/// How a task ended on an agent.
#[derive(Clone, Debug)]
pub struct AgentOutcome {
    /// How.
    pub outcome: Outcome,
    /// What the plugin reported.
    pub output: Map<String, Value>,
    /// Why it failed.
    pub reason: Option<String>,
    /// When the process was started, where one was.
    pub started_at: Option<Timestamp>,
}

/// Why an event was not applied. The run is as it was.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No such task in the run.
    #[error("task {task} is not part of this workflow")]
    UnknownTask {
        /// Which.
        task: TaskId,
    },
    /// The task is over; a late report is dropped.
    #[error("task {task} is already {status}")]
    TaskOver {
        /// Which.
        task: TaskId,
        /// Its status.
        status: TaskStatus,
    },
    /// The event is not possible in the task's status.
    #[error("task {task} is {status}, which does not allow this")]
    TaskStatus {
        /// Which.
        task: TaskId,
        /// Its status.
        status: TaskStatus,
    },
    /// An agent spoke of an earlier dispatch.
    #[error("task {task} was given out again since")]
    StaleDispatch {
        /// Which.
        task: TaskId,
    },
    /// The workflow's status does not allow the event.
    #[error("workflow {workflow} is {status}, which does not allow this")]
    WorkflowStatus {
        /// Which.
        workflow: WorkflowId,
        /// Its status.
        status: WorkflowStatus,
    },
    /// The manager answered an earlier order, or one that was never given.
    #[error("task {task} does not wait for this")]
    StaleTurn {
        /// Which.
        task: TaskId,
    },
    /// No step of this name.
    #[error("{reference:?} is not a step of this workflow")]
    UnknownReference {
        /// Which.
        reference: String,
    },
    /// The step was scheduled already.
    #[error("step {reference:?} was scheduled already")]
    AlreadyScheduled {
        /// Which.
        reference: String,
    },
    /// The step decides where the flow goes: without it nobody knows.
    #[error("step {reference:?} is one that decides where the workflow goes; it cannot be skipped")]
    NotSkippable {
        /// Which.
        reference: String,
    },
    /// Nothing of the workflow can be tried again.
    #[error("no task of this workflow can be retried")]
    NothingToRetry,
    /// Its definition says that it cannot be restarted.
    #[error("workflow {workflow} is completed, and its definition does not let it be restarted")]
    NotRestartable {
        /// Which.
        workflow: WorkflowId,
    },
    /// What was given is too large to keep.
    #[error("it would become larger than {max} bytes")]
    TooLarge {
        /// Bytes allowed.
        max: usize,
    },
    /// A timer fired early or for nothing; nothing to do.
    #[error("nothing is due")]
    NothingDue,
}
