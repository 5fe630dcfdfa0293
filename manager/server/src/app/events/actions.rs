//! What an event handler can do.

use conductor_engine::{Event, WorkerStatus, WorkerUpdate};
use conductor_model::event_handler::{StartAction, TaskAction, WorkflowAction};
use conductor_model::{ActionKind, TaskId, TenantName, WorkflowId};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Delivery;
use crate::app::{App, AppError, IdempotencyStrategy, StartCommand};

/// Why an action was not done.
#[derive(Debug)]
pub(super) enum ActionError {
    /// It may be done later.
    Later(String),
    /// It cannot ever be done.
    Never(String),
}

impl From<AppError> for ActionError {
    fn from(error: AppError) -> Self {
        match error {
            AppError::Unavailable { .. } | AppError::Internal { .. } => Self::Later(error.to_string()),
            other => Self::Never(other.to_string()),
        }
    }
}

/// Does an action whose expressions are resolved. `key` names the action of this message: what it starts is started once.
pub(super) async fn perform(
    app: &App,
    tenant: &TenantName,
    kind: ActionKind,
    details: Map<String, Value>,
    key: Option<&str>,
    delivery: &Delivery<'_>,
) -> Result<(), ActionError> {
    match kind {
        ActionKind::StartWorkflow => start(app, tenant, read(details)?, key, delivery).await,
        ActionKind::CompleteTask => update_task(app, tenant, read(details)?, WorkerStatus::Completed).await,
        ActionKind::FailTask => update_task(app, tenant, read(details)?, WorkerStatus::Failed).await,
        ActionKind::TerminateWorkflow => {
            let action: WorkflowAction = read(details)?;
            let workflow = workflow_id(&action.workflow_id)?;
            let reason = action.termination_reason.or_else(|| Some(format!("event {}", delivery.event)));
            Ok(app.terminate_workflow(tenant, workflow, reason).await?)
        }
        ActionKind::UpdateWorkflowVariables => {
            let action: WorkflowAction = read(details)?;
            let workflow = workflow_id(&action.workflow_id)?;
            let WorkflowAction { variables, append_array: append, .. } = action;
            Ok(app.control(tenant, workflow, Event::SetVariables { variables, append }).await?)
        }
    }
}

fn read<T: DeserializeOwned>(details: Map<String, Value>) -> Result<T, ActionError> {
    serde_json::from_value(Value::Object(details)).map_err(|error| ActionError::Never(error.to_string()))
}

fn workflow_id(text: &str) -> Result<WorkflowId, ActionError> {
    text.parse().map_err(|_| ActionError::Never(format!("{text:?} is no workflow's id")))
}

async fn start(
    app: &App,
    tenant: &TenantName,
    action: StartAction,
    key: Option<&str>,
    delivery: &Delivery<'_>,
) -> Result<(), ActionError> {
    let mut input = action.input;
    if let Some(id) = delivery.message_id {
        input.insert("conductor.event.messageId".to_owned(), Value::String(id.to_owned()));
    }
    input.insert("conductor.event.name".to_owned(), Value::String(delivery.event.to_owned()));
    let command = StartCommand {
        name: action.name,
        version: action.version,
        input,
        correlation_id: action.correlation_id,
        task_to_domain: action.task_to_domain,
        idempotency_key: key.map(str::to_owned),
        idempotency: IdempotencyStrategy::ReturnExisting,
        event: Some(delivery.event.to_owned()),
        ..StartCommand::default()
    };
    app.start_workflow(tenant, command).await?;
    Ok(())
}

async fn update_task(app: &App, tenant: &TenantName, action: TaskAction, status: WorkerStatus) -> Result<(), ActionError> {
    let task: TaskId = match (&action.task_id, &action.workflow_id, &action.task_ref_name) {
        (Some(task), ..) => task.parse().map_err(|_| ActionError::Never(format!("{task:?} is no task's id")))?,
        (None, Some(workflow), Some(step)) => {
            let workflow = workflow_id(workflow)?;
            let open = app.open_task_by_reference(tenant, workflow, step).await?;
            open.ok_or_else(|| ActionError::Never(format!("workflow {workflow} has no open task at step {step}")))?
        }
        _ => return Err(ActionError::Never("it names neither a task nor a workflow and a step".to_owned())),
    };
    let update = WorkerUpdate {
        task,
        status,
        output: action.output,
        merge_output: true,
        reason: action.reason_for_incompletion,
        worker_id: None,
        callback_after_seconds: 0,
        extend_lease: false,
    };
    Ok(app.update_task(tenant, update).await?)
}
