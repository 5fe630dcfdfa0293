//! Commands on workflows beyond starting and ending them.

use conductor_engine::Event;
use conductor_model::{TaskId, TenantName, WorkflowId};
use serde_json::{Map, Value};

use super::{App, AppError};

/// What to run once more, and with what (Conductor API: RerunWorkflowRequest).
#[derive(Clone, Debug, Default)]
pub struct RerunCommand {
    /// From this task on; `None` = from the start.
    pub from: Option<TaskId>,
    /// Replaces that task's input.
    pub task_input: Option<Map<String, Value>>,
    /// Replaces the workflow's input.
    pub workflow_input: Option<Map<String, Value>>,
    /// Replaces the correlation id.
    pub correlation_id: Option<String>,
}

impl App {
    /// Tries again what failed in a workflow that ended badly.
    ///
    /// # Errors
    /// `not-found`; `workflow-status` and `nothing-to-retry` where there is nothing to try again.
    pub async fn retry_workflow(&self, tenant: &TenantName, id: WorkflowId, resume_subworkflows: bool) -> Result<(), AppError> {
        self.control(tenant, id, Event::Retry { resume_subworkflows }).await
    }

    /// Runs a workflow that is over once more from its start, by the definitions it ran by or by the newest version.
    ///
    /// # Errors
    /// `not-found`; a conflict while it goes on; `not-restartable`.
    pub async fn restart_workflow(&self, tenant: &TenantName, id: WorkflowId, latest: bool) -> Result<(), AppError> {
        let plan = if latest {
            let owner = tenant.clone();
            let found = self.read(move |store| store.workflow(&owner, id)).await?;
            let record = found.ok_or_else(|| AppError::not_found("workflow", id))?;
            Some(self.plan_to_start(tenant, &record.name, None, None).await?)
        } else {
            None
        };
        self.control(tenant, id, Event::Restart { plan }).await
    }

    /// Runs a workflow that is over once more from a task on, which may be one of a workflow inside it.
    ///
    /// # Errors
    /// `not-found`; a conflict while it goes on; `task-unknown` for a task of another workflow.
    pub async fn rerun_workflow(&self, tenant: &TenantName, id: WorkflowId, command: RerunCommand) -> Result<(), AppError> {
        let RerunCommand { from, task_input, workflow_input, correlation_id } = command;
        let event = Event::Rerun { from, task_input, workflow_input, correlation_id };
        match self.control(tenant, id, event).await {
            Err(AppError::NotFound { what: "task", id: task }) => Err(AppError::invalid(
                "task-unknown",
                format!("task {task} is not part of workflow {id}, nor of one that runs in it"),
            )),
            other => other,
        }
    }

    /// Does without a step that was not scheduled yet.
    ///
    /// # Errors
    /// `not-found` for the workflow or the step; `step-scheduled`.
    pub async fn skip_step(
        &self,
        tenant: &TenantName,
        id: WorkflowId,
        reference: String,
        input: Map<String, Value>,
        output: Map<String, Value>,
    ) -> Result<(), AppError> {
        self.control(tenant, id, Event::Skip { reference, input, output }).await
    }

    /// Lets polling workers have at once what asked to be left alone.
    ///
    /// # Errors
    /// `not-found`; a conflict when it is over.
    pub async fn reset_callbacks(&self, tenant: &TenantName, id: WorkflowId) -> Result<(), AppError> {
        self.control(tenant, id, Event::ResetCallbacks).await
    }

    /// Sets variables of a workflow; the others stay.
    ///
    /// # Errors
    /// `not-found`; a conflict when it is over; `too-large`.
    pub async fn set_variables(
        &self,
        tenant: &TenantName,
        id: WorkflowId,
        variables: Map<String, Value>,
    ) -> Result<(), AppError> {
        self.control(tenant, id, Event::SetVariables { variables, append: false }).await
    }

    /// Ends a workflow as one that failed: its failure workflow is started. Terminating a terminated workflow does nothing.
    ///
    /// # Errors
    /// `not-found`; `workflow-over`.
    pub async fn terminate_workflow_as_failed(
        &self,
        tenant: &TenantName,
        id: WorkflowId,
        reason: Option<String>,
    ) -> Result<(), AppError> {
        self.control(tenant, id, Event::TerminateAsFailed { reason }).await
    }

    /// Ends a workflow unless it is over, and deletes it.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn terminate_and_remove_workflow(
        &self,
        tenant: &TenantName,
        id: WorkflowId,
        reason: Option<String>,
    ) -> Result<(), AppError> {
        match self.terminate_workflow(tenant, id, reason).await {
            Ok(()) | Err(AppError::Conflict { code: "workflow-over", .. }) => self.remove_workflow(tenant, id).await,
            Err(error) => Err(error),
        }
    }
}
