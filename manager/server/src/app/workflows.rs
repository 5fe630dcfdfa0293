//! Commands on workflows and tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use conductor_engine::WorkerUpdate;
use conductor_model::{TaskId, TaskRecord, TenantName, WorkflowDef, WorkflowId};
use conductor_placement::Unplaced;
use serde_json::{Map, Value};

use super::{App, AppError};

/// What to start (Conductor API: StartWorkflowRequest).
#[derive(Clone, Debug, Default)]
pub struct StartCommand {
    /// Name of the definition.
    pub name: String,
    /// Its version; the highest where none is named.
    pub version: Option<i32>,
    /// A definition given in place.
    pub definition: Option<WorkflowDef>,
    /// Input.
    pub input: Map<String, Value>,
    /// The starter's own id for it.
    pub correlation_id: Option<String>,
    /// A second start with the same key answers with the first run's id, or is refused.
    pub idempotency_key: Option<String>,
    /// What a second start with the same key does.
    pub idempotency: IdempotencyStrategy,
    /// 0 to 99.
    pub priority: u8,
    /// Task type → domain.
    pub task_to_domain: BTreeMap<String, String>,
    /// Who starts it.
    pub created_by: Option<String>,
}

/// What a second start with the same idempotency key does (Conductor API: idempotencyStrategy).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdempotencyStrategy {
    /// Is refused with a conflict.
    #[default]
    Fail,
    /// Answers with the id of the first run.
    ReturnExisting,
    /// Is refused while the first run goes on, else starts another.
    FailOnRunning,
}

impl App {
    /// Starts a workflow; answers once it is stored.
    ///
    /// # Errors
    /// `not-found` for an unknown definition or version, `idempotency-key-used`, `definition-invalid`, `priority-invalid`.
    pub async fn start_workflow(&self, tenant: &TenantName, command: StartCommand) -> Result<WorkflowId, AppError> {
        let _ = (tenant, command);
        unreachable!("filled in by the deciding thread")
    }

    /// Schedules nothing new in it. Pausing a paused workflow does nothing.
    ///
    /// # Errors
    /// `not-found`; `workflow-over`.
    pub async fn pause_workflow(&self, tenant: &TenantName, id: WorkflowId) -> Result<(), AppError> {
        let _ = (tenant, id);
        unreachable!("filled in by the deciding thread")
    }

    /// Goes on with a paused workflow.
    ///
    /// # Errors
    /// `not-found`; `workflow-not-paused`; `workflow-over`.
    pub async fn resume_workflow(&self, tenant: &TenantName, id: WorkflowId) -> Result<(), AppError> {
        let _ = (tenant, id);
        unreachable!("filled in by the deciding thread")
    }

    /// Ends a workflow. Terminating a terminated workflow does nothing.
    ///
    /// # Errors
    /// `not-found`; `workflow-over`.
    pub async fn terminate_workflow(
        &self,
        tenant: &TenantName,
        id: WorkflowId,
        reason: Option<String>,
    ) -> Result<(), AppError> {
        let _ = (tenant, id, reason);
        unreachable!("filled in by the deciding thread")
    }

    /// Hands out up to `count` tasks of a type, waiting up to `wait` for the first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn poll_tasks(
        &self,
        tenant: &TenantName,
        task_type: &str,
        domain: Option<&str>,
        worker: &str,
        count: usize,
        wait: Duration,
    ) -> Result<Vec<TaskRecord>, AppError> {
        let _ = (tenant, task_type, domain, worker, count, wait);
        unreachable!("filled in by the deciding thread")
    }

    /// Applies a worker's report. A report on a task that is over is accepted and dropped.
    ///
    /// # Errors
    /// `not-found`; `task-on-agent` for a task that an agent runs.
    pub async fn update_task(&self, tenant: &TenantName, update: WorkerUpdate) -> Result<(), AppError> {
        let _ = (tenant, update);
        unreachable!("filled in by the deciding thread")
    }

    /// The open task at a step, by reference; `None` when there is none.
    ///
    /// # Errors
    /// `not-found` for the workflow.
    pub async fn open_task_by_reference(
        &self,
        tenant: &TenantName,
        id: WorkflowId,
        reference: &str,
    ) -> Result<Option<TaskId>, AppError> {
        let _ = (tenant, id, reference);
        unreachable!("filled in by the deciding thread")
    }

    /// Why a task has no agent yet; `None` when it needs none or has one.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn explain_placement(&self, tenant: &TenantName, task: TaskId) -> Result<Option<Unplaced>, AppError> {
        let _ = (tenant, task);
        unreachable!("filled in by the deciding thread")
    }

    /// Queue depths of tasks that wait for pollers, by task type (domains added up).
    ///
    /// # Errors
    /// When the manager shuts down.
    pub async fn queue_sizes(&self, tenant: &TenantName) -> Result<BTreeMap<String, u64>, AppError> {
        let _ = tenant;
        unreachable!("filled in by the deciding thread")
    }
}
