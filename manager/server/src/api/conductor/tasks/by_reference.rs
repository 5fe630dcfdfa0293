//! Reports that name a task by its workflow and reference.

use axum::extract::{Path, State};
use axum::response::Response;
use conductor_engine::WorkerUpdate;
use conductor_model::{TaskId, WorkflowId};
use serde_json::{Map, Value};

use super::super::{load, plain};
use super::update::Status;
use crate::api::ApiError;
use crate::api::extract::{OptionalJson, Params, workflow_id};
use crate::api::state::ApiState;
use crate::app::Caller;

/// Takes a report on the open task at a step; the body is merged into its output.
#[utoipa::path(post, path = "/api/tasks/{id}/{reference}/{status}", tag = "tasks",
    params(("id" = String, Path, description = "The workflow's id"), ("reference" = String, Path), ("status" = String, Path), ("workerid" = Option<String>, Query)),
    request_body(content = Object, description = "Output"),
    responses((status = 200, content_type = "text/plain", body = String, description = "The task's id; empty when none is open"),
        (status = 404, description = "There is no such workflow")))]
pub(super) async fn update_by_reference(
    State(state): State<ApiState>,
    caller: Caller,
    Path((id, reference, status)): Path<(String, String, String)>,
    params: Params,
    OptionalJson(output): OptionalJson<Map<String, Value>>,
) -> Result<Response, ApiError> {
    let step = Step { workflow: workflow_id(&id)?, reference, status: Status::in_path(&status)? };
    let task = apply(&state, &caller, step, &params, output).await?;
    Ok(plain(&task.map_or_else(String::new, |id| id.to_string())))
}

/// Takes a report on the open task at a step and answers with the workflow.
#[utoipa::path(post, path = "/api/tasks/{id}/{reference}/{status}/sync", tag = "tasks",
    params(("id" = String, Path, description = "The workflow's id"), ("reference" = String, Path), ("status" = String, Path), ("workerid" = Option<String>, Query)),
    request_body(content = Object, description = "Output"),
    responses((status = 200, body = crate::api::shapes::Workflow, description = "Workflow"), (status = 404, description = "There is no such workflow or no open task")))]
pub(super) async fn update_by_reference_sync(
    State(state): State<ApiState>,
    caller: Caller,
    Path((id, reference, status)): Path<(String, String, String)>,
    params: Params,
    OptionalJson(output): OptionalJson<Map<String, Value>>,
) -> Result<Response, ApiError> {
    let workflow = workflow_id(&id)?;
    let step = Step { workflow, reference: reference.clone(), status: Status::in_path(&status)? };
    let task = apply(&state, &caller, step, &params, output).await?;
    task.ok_or_else(|| ApiError::not_found("open task at step", reference))?;
    load::workflow_answer(&state, &caller.tenant, workflow, true).await
}

struct Step {
    workflow: WorkflowId,
    reference: String,
    status: Status,
}

async fn apply(
    state: &ApiState,
    caller: &Caller,
    step: Step,
    params: &Params,
    output: Map<String, Value>,
) -> Result<Option<TaskId>, ApiError> {
    let Some(task) = state.app.open_task_by_reference(&caller.tenant, step.workflow, &step.reference).await? else {
        return Ok(None);
    };
    let update = WorkerUpdate {
        task,
        status: step.status.into(),
        output,
        merge_output: true,
        reason: None,
        worker_id: params.text("workerid").map(str::to_owned),
        callback_after_seconds: 0,
        extend_lease: false,
    };
    state.app.update_task(&caller.tenant, update).await?;
    Ok(Some(task))
}
