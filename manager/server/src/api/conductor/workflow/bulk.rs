//! One command on many workflows. Each is carried out on its own; the answer says what became of each.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use conductor_model::{TenantName, WorkflowId};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::super::load;
use super::control::TRIGGER_FAILURE_WORKFLOW;
use crate::api::ApiError;
use crate::api::extract::{JsonBody, Params, workflow_id};
use crate::api::state::ApiState;
use crate::app::{App, AppError, Caller};

/// Most workflows of one request.
const WORKFLOWS_MAX: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(restart))
        .routes(routes!(retry))
        .routes(routes!(terminate))
        .routes(routes!(search))
        .routes(routes!(remove))
        .routes(routes!(terminate_and_remove))
}

/// Conductor's BulkResponse.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct BulkResponse<T> {
    bulk_error_results: BTreeMap<String, String>,
    bulk_successful_results: Vec<T>,
    message: &'static str,
}

impl<T> BulkResponse<T> {
    fn new(ids: &[String]) -> Result<Self, ApiError> {
        if ids.len() > WORKFLOWS_MAX {
            let message = format!("{} workflows are named; at most {WORKFLOWS_MAX} are allowed in one request", ids.len());
            return Err(ApiError::bad_request("too-many", message));
        }
        let message = "Bulk Request has been processed.";
        Ok(Self { bulk_error_results: BTreeMap::new(), bulk_successful_results: Vec::new(), message })
    }

    /// Notes what became of one. A fault of ours ends the whole request.
    fn note(&mut self, id: String, result: Result<T, ApiError>) -> Result<(), ApiError> {
        match result {
            Ok(value) => self.bulk_successful_results.push(value),
            Err(error) if error.status.is_server_error() => return Err(error),
            Err(error) => _ = self.bulk_error_results.insert(id, error.message),
        }
        Ok(())
    }
}

/// What is done with each workflow.
#[derive(Debug)]
enum Command {
    Pause,
    Resume,
    Restart { latest: bool },
    Retry { resume_subworkflows: bool },
    Terminate { reason: Option<String>, as_failed: bool },
    Remove,
    TerminateAndRemove { reason: Option<String> },
}

impl Command {
    async fn carry_out(&self, app: &App, tenant: &TenantName, id: WorkflowId) -> Result<(), AppError> {
        match self {
            Self::Pause => app.pause_workflow(tenant, id).await,
            Self::Resume => app.resume_workflow(tenant, id).await,
            Self::Restart { latest } => app.restart_workflow(tenant, id, *latest).await,
            Self::Retry { resume_subworkflows } => app.retry_workflow(tenant, id, *resume_subworkflows).await,
            Self::Terminate { reason, as_failed: true } => app.terminate_workflow_as_failed(tenant, id, reason.clone()).await,
            Self::Terminate { reason, as_failed: false } => app.terminate_workflow(tenant, id, reason.clone()).await,
            Self::Remove => app.remove_workflow(tenant, id).await,
            Self::TerminateAndRemove { reason } => app.terminate_and_remove_workflow(tenant, id, reason.clone()).await,
        }
    }
}

type Ids = Result<Json<BulkResponse<String>>, ApiError>;

/// Does it with each, one after the other.
async fn command(state: &ApiState, caller: &Caller, ids: Vec<String>, command: Command) -> Ids {
    let mut response = BulkResponse::new(&ids)?;
    for id in ids {
        let result = match workflow_id(&id) {
            Ok(workflow) => command.carry_out(&state.app, &caller.tenant, workflow).await.map_err(ApiError::from),
            Err(error) => Err(error),
        };
        response.note(id.clone(), result.map(|()| id))?;
    }
    Ok(Json(response))
}

/// Pauses workflows.
#[utoipa::path(put, path = "/api/workflow/bulk/pause", tag = "bulk", request_body(content = Vec<String>, description = "Ids, at most 1000"),
    responses((status = 200, body = crate::api::shapes::BulkResponse, description = "BulkResponse"), (status = 400, description = "Too many")))]
async fn pause(State(state): State<ApiState>, caller: Caller, JsonBody(ids): JsonBody<Vec<String>>) -> Ids {
    command(&state, &caller, ids, Command::Pause).await
}

/// Goes on with paused workflows.
#[utoipa::path(put, path = "/api/workflow/bulk/resume", tag = "bulk", request_body(content = Vec<String>, description = "Ids, at most 1000"),
    responses((status = 200, body = crate::api::shapes::BulkResponse, description = "BulkResponse"), (status = 400, description = "Too many")))]
async fn resume(State(state): State<ApiState>, caller: Caller, JsonBody(ids): JsonBody<Vec<String>>) -> Ids {
    command(&state, &caller, ids, Command::Resume).await
}

/// Runs workflows that are over once more from their start.
#[utoipa::path(post, path = "/api/workflow/bulk/restart", tag = "bulk", params(("useLatestDefinitions" = Option<bool>, Query)),
    request_body(content = Vec<String>, description = "Ids, at most 1000"),
    responses((status = 200, body = crate::api::shapes::BulkResponse, description = "BulkResponse"), (status = 400, description = "Too many")))]
async fn restart(State(state): State<ApiState>, caller: Caller, params: Params, JsonBody(ids): JsonBody<Vec<String>>) -> Ids {
    let latest = params.flag("useLatestDefinitions", false)?;
    command(&state, &caller, ids, Command::Restart { latest }).await
}

/// Tries again what failed in workflows that ended badly.
#[utoipa::path(post, path = "/api/workflow/bulk/retry", tag = "bulk", params(("resumeSubworkflowTasks" = Option<bool>, Query)),
    request_body(content = Vec<String>, description = "Ids, at most 1000"),
    responses((status = 200, body = crate::api::shapes::BulkResponse, description = "BulkResponse"), (status = 400, description = "Too many")))]
async fn retry(State(state): State<ApiState>, caller: Caller, params: Params, JsonBody(ids): JsonBody<Vec<String>>) -> Ids {
    let resume_subworkflows = params.flag("resumeSubworkflowTasks", false)?;
    command(&state, &caller, ids, Command::Retry { resume_subworkflows }).await
}

/// Ends workflows.
#[utoipa::path(post, path = "/api/workflow/bulk/terminate", tag = "bulk", params(("reason" = Option<String>, Query),
        ("triggerFailureWorkflow" = Option<bool>, Query, description = "Start their failure workflows, as if they had failed")),
    request_body(content = Vec<String>, description = "Ids, at most 1000"),
    responses((status = 200, body = crate::api::shapes::BulkResponse, description = "BulkResponse"), (status = 400, description = "Too many")))]
async fn terminate(State(state): State<ApiState>, caller: Caller, params: Params, JsonBody(ids): JsonBody<Vec<String>>) -> Ids {
    let reason = params.text("reason").map(str::to_owned);
    let as_failed = params.flag(TRIGGER_FAILURE_WORKFLOW, false)?;
    command(&state, &caller, ids, Command::Terminate { reason, as_failed }).await
}

/// Deletes workflows that are over.
#[utoipa::path(delete, path = "/api/workflow/bulk/remove", tag = "bulk", request_body(content = Vec<String>, description = "Ids, at most 1000"),
    responses((status = 200, body = crate::api::shapes::BulkResponse, description = "BulkResponse"), (status = 400, description = "Too many")))]
async fn remove(State(state): State<ApiState>, caller: Caller, JsonBody(ids): JsonBody<Vec<String>>) -> Ids {
    command(&state, &caller, ids, Command::Remove).await
}

/// Ends workflows that are not over, and deletes all.
#[utoipa::path(delete, path = "/api/workflow/bulk/terminate-remove", tag = "bulk", params(("reason" = Option<String>, Query)),
    request_body(content = Vec<String>, description = "Ids, at most 1000"),
    responses((status = 200, body = crate::api::shapes::BulkResponse, description = "BulkResponse"), (status = 400, description = "Too many")))]
async fn terminate_and_remove(
    State(state): State<ApiState>,
    caller: Caller,
    params: Params,
    JsonBody(ids): JsonBody<Vec<String>>,
) -> Ids {
    let reason = params.text("reason").map(str::to_owned);
    command(&state, &caller, ids, Command::TerminateAndRemove { reason }).await
}

/// Reads workflows.
#[utoipa::path(post, path = "/api/workflow/bulk/search", tag = "bulk", params(("includeTasks" = Option<bool>, Query, description = "Default true")),
    request_body(content = Vec<String>, description = "Ids, at most 1000"),
    responses((status = 200, body = crate::api::shapes::BulkResponse, description = "BulkResponse of Workflows"), (status = 400, description = "Too many")))]
async fn search(
    State(state): State<ApiState>,
    caller: Caller,
    params: Params,
    JsonBody(ids): JsonBody<Vec<String>>,
) -> Result<Json<BulkResponse<Box<RawValue>>>, ApiError> {
    let with_tasks = params.flag("includeTasks", true)?;
    let mut response = BulkResponse::new(&ids)?;
    for id in ids {
        response.note(id.clone(), read(&state, &caller, &id, with_tasks).await)?;
    }
    Ok(Json(response))
}

async fn read(state: &ApiState, caller: &Caller, id: &str, with_tasks: bool) -> Result<Box<RawValue>, ApiError> {
    let record = load::workflow(state, &caller.tenant, workflow_id(id)?).await?;
    load::workflow_json(state, &record, with_tasks).await
}
