//! `/api/metadata/workflow`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use conductor_model::WorkflowDef;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::ApiError;
use crate::api::extract::{JsonBody, JsonListOrOne, Params};
use crate::api::state::ApiState;
use crate::app::{AppError, Caller};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, create, put_all))
        .routes(routes!(validate))
        .routes(routes!(get))
        .routes(routes!(delete))
}

/// What became of each of several.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Bulk {
    bulk_error_results: BTreeMap<String, String>,
    bulk_successful_results: Vec<String>,
    message: &'static str,
}

/// Every workflow definition, in every version.
#[utoipa::path(get, path = "/api/metadata/workflow", tag = "metadata",
    responses((status = 200, body = Vec<crate::api::shapes::WorkflowDef>, description = "Workflow definitions, by name and version")))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Result<Json<Vec<WorkflowDef>>, ApiError> {
    Ok(Json(state.app.read(move |store| store.workflow_defs(&caller.tenant)).await?))
}

/// Stores a workflow definition.
#[utoipa::path(post, path = "/api/metadata/workflow", tag = "metadata",
    params(("overwrite" = Option<bool>, Query, description = "Replace a version that exists")),
    request_body(content = crate::api::bodies::WorkflowDefinition, description = "A workflow definition"),
    responses((status = 200, description = "Stored"), (status = 400, description = "Nothing was stored; validationErrors says why"),
        (status = 409, description = "This version exists, or it is locked")))]
async fn create(
    State(state): State<ApiState>,
    caller: Caller,
    params: Params,
    JsonBody(definition): JsonBody<WorkflowDef>,
) -> Result<(), ApiError> {
    let overwrite = params.flag("overwrite", false)?;
    Ok(state.app.put_workflow_defs(&caller.tenant, vec![definition], overwrite, &caller.name).await?)
}

/// Stores workflow definitions, new or again, each for itself: those that are sound are stored, of the others the answer says
/// what is wrong. When none is sound the answer is a 400.
#[utoipa::path(put, path = "/api/metadata/workflow", tag = "metadata",
    request_body(content = Vec<crate::api::bodies::WorkflowDefinition>, description = "Workflow definitions"),
    responses((status = 200, body = Bulk, description = "bulkSuccessfulResults names what was stored, bulkErrorResults says of each other why not"),
        (status = 400, description = "Nothing was stored; validationErrors says why"),
        (status = 409, description = "Nothing was stored: what is there is locked")))]
async fn put_all(
    State(state): State<ApiState>,
    caller: Caller,
    JsonListOrOne(definitions): JsonListOrOne<WorkflowDef>,
) -> Result<Json<Bulk>, ApiError> {
    let (mut stored, mut errors) = (Vec::new(), BTreeMap::<String, String>::new());
    for definition in &definitions {
        let Caller { tenant, name: by, .. } = &caller;
        let message = match state.app.put_workflow_defs(tenant, vec![definition.clone()], true, by).await {
            Ok(()) => {
                stored.push(definition.name.clone());
                continue;
            }
            Err(AppError::Invalid { violations, .. }) => {
                let faults: Vec<_> = violations.iter().map(|fault| format!("{} {}", fault.path, fault.message)).collect();
                format!("version {}: {}", definition.version, faults.join("; "))
            }
            // It is locked; others need not be.
            Err(AppError::Conflict { message, .. }) => message,
            Err(error) => return Err(error.into()),
        };
        // Several versions share a name.
        let before = errors.entry(definition.name.clone()).or_default();
        *before = if before.is_empty() { message } else { format!("{before}; {message}") };
    }
    if stored.is_empty() {
        // Says all that is wrong, with its place.
        state.app.put_workflow_defs(&caller.tenant, definitions, true, &caller.name).await?;
    }
    Ok(Json(Bulk { bulk_error_results: errors, bulk_successful_results: stored, message: "Bulk Request has been processed." }))
}

/// Checks a workflow definition without storing it.
#[utoipa::path(post, path = "/api/metadata/workflow/validate", tag = "metadata",
    request_body(content = crate::api::bodies::WorkflowDefinition, description = "A workflow definition"),
    responses((status = 200, description = "It could be stored"), (status = 400, description = "validationErrors says what is wrong")))]
async fn validate(
    State(state): State<ApiState>,
    caller: Caller,
    JsonBody(definition): JsonBody<WorkflowDef>,
) -> Result<(), ApiError> {
    Ok(state.app.validate_workflow_def(&caller.tenant, definition).await?)
}

/// One workflow definition.
#[utoipa::path(get, path = "/api/metadata/workflow/{name}", tag = "metadata",
    params(("name" = String, Path), ("version" = Option<i32>, Query, description = "The highest where none is given")),
    responses((status = 200, body = crate::api::shapes::WorkflowDef), (status = 404, description = "There is none")))]
async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
    params: Params,
) -> Result<Json<WorkflowDef>, ApiError> {
    let version = params.value::<i32>("version")?;
    let wanted = name.clone();
    let found = state.app.read(move |store| store.workflow_def(&caller.tenant, &wanted, version)).await?;
    found.map(Json).ok_or_else(|| ApiError::not_found("workflow definition", shown(&name, version)))
}

/// Removes one version of a workflow definition. Running workflows keep theirs.
#[utoipa::path(delete, path = "/api/metadata/workflow/{name}/{version}", tag = "metadata",
    params(("name" = String, Path), ("version" = i32, Path)),
    responses((status = 200, description = "Removed"), (status = 404, description = "There is none"),
        (status = 409, description = "It is locked")))]
async fn delete(
    State(state): State<ApiState>,
    caller: Caller,
    Path((name, version)): Path<(String, String)>,
) -> Result<(), ApiError> {
    let version: i32 = version
        .parse()
        .map_err(|_| ApiError::bad_request("version-invalid", format!("version {version:?} is not a whole number")))?;
    Ok(state.app.delete_workflow_def(&caller.tenant, &name, version, &caller.name).await?)
}

fn shown(name: &str, version: Option<i32>) -> String {
    version.map_or_else(|| name.to_owned(), |version| format!("{name} version {version}"))
}
