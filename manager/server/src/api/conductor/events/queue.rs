//! `/api/queue`: messages that end waiting tasks. They are applied at once, so that no queue ever holds any.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use conductor_engine::{WorkerStatus, WorkerUpdate};
use conductor_model::TaskId;
use serde_json::{Map, Value};

use crate::api::ApiError;
use crate::api::extract::{OptionalJson, workflow_id};
use crate::api::state::ApiState;
use crate::app::Caller;

/// The statuses that a message may bring, and what their queues are called.
const QUEUES: [(&str, &str); 4] = [
    ("COMPLETED", "conductor:_wait:COMPLETED"),
    ("FAILED", "conductor:_wait:FAILED"),
    ("FAILED_WITH_TERMINAL_ERROR", "conductor:_wait:FAILED_WITH_TERMINAL_ERROR"),
    ("IN_PROGRESS", "conductor:_wait:IN_PROGRESS"),
];

/// The queues of waiting tasks, by the status that their messages bring.
#[utoipa::path(get, path = "/api/queue", tag = "event handlers", responses((status = 200, body = BTreeMap<String, String>, description = "{status: queue}")))]
pub(super) async fn names(_caller: Caller) -> Json<BTreeMap<&'static str, &'static str>> {
    Json(BTreeMap::from(QUEUES))
}

/// How many messages wait in these queues: none, they are applied at once.
#[utoipa::path(get, path = "/api/queue/size", tag = "event handlers", responses((status = 200, body = BTreeMap<String, u64>, description = "{queue: number}")))]
pub(super) async fn sizes(_caller: Caller) -> Json<BTreeMap<&'static str, u64>> {
    Json(QUEUES.iter().map(|(_, queue)| (*queue, 0)).collect())
}

/// Reports on the open task at a step; the body is merged into its output.
#[utoipa::path(post, path = "/api/queue/update/{id}/{reference}/{status}", tag = "event handlers",
    params(("id" = String, Path, description = "The workflow's id"), ("reference" = String, Path), ("status" = String, Path)),
    request_body(content = Object, description = "Output"),
    responses((status = 200, description = "Applied"), (status = 400, description = "Invalid"),
        (status = 404, description = "There is no such workflow or no open task")))]
pub(super) async fn update_by_reference(
    State(state): State<ApiState>,
    caller: Caller,
    Path((id, reference, status)): Path<(String, String, String)>,
    OptionalJson(output): OptionalJson<Map<String, Value>>,
) -> Result<(), ApiError> {
    let (workflow, status) = (workflow_id(&id)?, status_of(&status)?);
    let task = state.app.open_task_by_reference(&caller.tenant, workflow, &reference).await?;
    let task = task.ok_or_else(|| ApiError::not_found("open task at step", reference))?;
    Ok(state.app.update_task(&caller.tenant, report(task, status, output)).await?)
}

/// Reports on a task; the body is merged into its output.
#[utoipa::path(post, path = "/api/queue/update/{id}/task/{task}/{status}", tag = "event handlers",
    params(("id" = String, Path, description = "The workflow's id"), ("task" = String, Path), ("status" = String, Path)),
    request_body(content = Object, description = "Output"),
    responses((status = 200, description = "Applied"), (status = 400, description = "Invalid"),
        (status = 404, description = "There is no such task")))]
pub(super) async fn update_by_task(
    State(state): State<ApiState>,
    caller: Caller,
    Path((id, task, status)): Path<(String, String, String)>,
    OptionalJson(output): OptionalJson<Map<String, Value>>,
) -> Result<(), ApiError> {
    let (workflow, status) = (workflow_id(&id)?, status_of(&status)?);
    let id: TaskId = task.parse().map_err(|_| ApiError::not_found("task", &task))?;
    let tenant = caller.tenant.clone();
    let found = state.app.read(move |store| store.task(&tenant, id)).await?;
    found.filter(|found| found.workflow_id == workflow).ok_or_else(|| ApiError::not_found("task", task))?;
    Ok(state.app.update_task(&caller.tenant, report(id, status, output)).await?)
}

fn status_of(text: &str) -> Result<WorkerStatus, ApiError> {
    match text {
        "COMPLETED" => Ok(WorkerStatus::Completed),
        "FAILED" => Ok(WorkerStatus::Failed),
        "FAILED_WITH_TERMINAL_ERROR" => Ok(WorkerStatus::FailedWithTerminalError),
        "IN_PROGRESS" => Ok(WorkerStatus::InProgress),
        other => Err(ApiError::bad_request(
            "status-invalid",
            format!(
                "{other:?} is no status that can be reported; COMPLETED, FAILED, FAILED_WITH_TERMINAL_ERROR and IN_PROGRESS are"
            ),
        )),
    }
}

fn report(task: TaskId, status: WorkerStatus, output: Map<String, Value>) -> WorkerUpdate {
    WorkerUpdate {
        task,
        status,
        output,
        merge_output: true,
        reason: None,
        worker_id: None,
        callback_after_seconds: 0,
        extend_lease: false,
    }
}
