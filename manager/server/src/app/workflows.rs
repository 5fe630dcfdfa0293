//! Commands on workflows and tasks.

use std::collections::BTreeMap;
use std::time::Duration;

use conductor_engine::{Event, Plan, StartRequest, WorkerUpdate};
pub use conductor_model::IdempotencyStrategy;
use conductor_model::{TaskId, TenantName, WorkflowDef, WorkflowId};
use conductor_placement::Unplaced;
use serde_json::{Map, Value};

use super::core::{CommandError, HandedOut, Message, PollRequest, StartOrder, UpdateOrder};
use super::{App, AppError};
use crate::clock::{self, SystemIds};

/// The highest priority (Conductor API).
const PRIORITY_MAX: u8 = 99;

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
    /// The event that starts it.
    pub event: Option<String>,
}

impl App {
    /// Starts a workflow; answers once it is stored.
    ///
    /// # Errors
    /// `not-found` for an unknown definition or version, `idempotency-key-used`, `definition-invalid`, `priority-invalid`.
    pub async fn start_workflow(&self, tenant: &TenantName, command: StartCommand) -> Result<WorkflowId, AppError> {
        if command.priority > PRIORITY_MAX {
            let message = format!("priority is {}; it must be between 0 and {PRIORITY_MAX}", command.priority);
            return Err(AppError::invalid("priority-invalid", message));
        }
        let plan = self.plan_to_start(tenant, &command.name, command.version, command.definition).await?;
        self.check_start(tenant, &plan, &command.input).await?;
        let request = StartRequest {
            id: WorkflowId::generate(&mut SystemIds),
            tenant: tenant.clone(),
            input: command.input,
            correlation_id: command.correlation_id,
            idempotency_key: command.idempotency_key,
            priority: command.priority,
            task_to_domain: command.task_to_domain,
            created_by: command.created_by,
            parent: None,
            event: command.event,
            rate_limit_key: None,
            rate_limited: false,
        };
        let idempotency = command.idempotency;
        let core = &self.inner.core;
        Ok(core.ask(|reply| Message::Start(StartOrder { plan, request, idempotency, reply })).await?)
    }

    /// Whether an input fits the schema of its definition, with what the definition fills in.
    pub(super) async fn check_start(
        &self,
        tenant: &TenantName,
        plan: &Plan,
        input: &Map<String, Value>,
    ) -> Result<(), AppError> {
        let definition = &plan.snapshot().workflow;
        let Some(schema) = definition.input_schema.as_ref().filter(|_| definition.enforce_schema) else { return Ok(()) };
        self.check_schema(tenant, schema, "input", plan.whole_input(input.clone())).await
    }

    /// Schedules nothing new in it. Pausing a paused workflow does nothing.
    ///
    /// # Errors
    /// `not-found`; `workflow-over`.
    pub async fn pause_workflow(&self, tenant: &TenantName, id: WorkflowId) -> Result<(), AppError> {
        self.control(tenant, id, Event::Pause).await
    }

    /// Goes on with a paused workflow.
    ///
    /// # Errors
    /// `not-found`; `workflow-not-paused`; `workflow-over`.
    pub async fn resume_workflow(&self, tenant: &TenantName, id: WorkflowId) -> Result<(), AppError> {
        self.control(tenant, id, Event::Resume).await
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
        self.control(tenant, id, Event::Terminate { reason }).await
    }

    /// Deletes a workflow that is over, with its tasks, their logs and payloads.
    ///
    /// # Errors
    /// `not-found`; `workflow-not-over`.
    pub async fn remove_workflow(&self, tenant: &TenantName, workflow: WorkflowId) -> Result<(), AppError> {
        let owner = tenant.clone();
        let removed = self.inner.core.ask(|reply| Message::Remove { tenant: owner, workflow, reply }).await;
        match removed {
            Err(CommandError::Refused(refusal)) => Err(AppError::conflict("workflow-not-over", refusal.to_string())),
            other => Ok(other?),
        }
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
    ) -> Result<Vec<HandedOut>, AppError> {
        let request = |reply| PollRequest {
            tenant: tenant.clone(),
            task_type: task_type.to_owned(),
            domain: domain.map(str::to_owned),
            worker: worker.to_owned(),
            count,
            until: clock::now() + wait,
            reply,
        };
        Ok(self.inner.core.ask(|reply| Message::Poll(request(reply))).await?)
    }

    /// Applies a worker's report. A report on a task that is over is accepted and dropped.
    ///
    /// # Errors
    /// `not-found`; `task-on-agent` for a task that an agent runs.
    pub async fn update_task(&self, tenant: &TenantName, update: WorkerUpdate) -> Result<(), AppError> {
        self.update_and_take(tenant, update, None, None).await.map(|_| ())
    }

    /// As [`App::update_task`], for a worker that says which workflow the task belongs to (`claimed`), and wants the next
    /// task of the same type and domain (`next_for`: its name). Both are stored together, so that it waits once.
    ///
    /// # Errors
    /// As [`App::update_task`]; `workflow-mismatch`.
    pub async fn update_and_take(
        &self,
        tenant: &TenantName,
        update: WorkerUpdate,
        claimed: Option<String>,
        next_for: Option<String>,
    ) -> Result<Option<HandedOut>, AppError> {
        let tenant = tenant.clone();
        Ok(self.inner.core.ask(|reply| Message::Update(UpdateOrder { tenant, update, claimed, next_for, reply })).await?)
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
        let (tenant, reference) = (tenant.clone(), reference.to_owned());
        Ok(self.inner.core.ask(|reply| Message::OpenTask { tenant, workflow: id, reference, reply }).await?)
    }

    /// Why a task has no agent yet; `None` when it needs none or has one.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn explain_placement(&self, tenant: &TenantName, task: TaskId) -> Result<Option<Unplaced>, AppError> {
        let tenant = tenant.clone();
        Ok(self.inner.core.ask(|reply| Message::Explain { tenant, task, reply }).await?)
    }

    pub(super) async fn control(&self, tenant: &TenantName, workflow: WorkflowId, event: Event) -> Result<(), AppError> {
        let tenant = tenant.clone();
        Ok(self.inner.core.ask(|reply| Message::Control { tenant, workflow, event, reply }).await?)
    }
}
