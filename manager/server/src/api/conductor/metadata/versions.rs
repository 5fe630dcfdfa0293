//! Names and versions of workflow definitions.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use conductor_model::WorkflowDef;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::ApiError;
use crate::api::state::ApiState;
use crate::app::Caller;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(names))
        .routes(routes!(names_and_versions))
        .routes(routes!(latest))
        .routes(routes!(versions))
}

/// One version of a definition.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Version {
    name: String,
    version: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    create_time: Option<i64>,
}

impl From<WorkflowDef> for Version {
    fn from(definition: WorkflowDef) -> Self {
        Self { name: definition.name, version: definition.version, create_time: definition.create_time }
    }
}

/// The names of all workflow definitions.
#[utoipa::path(get, path = "/api/metadata/workflow/names", tag = "metadata", responses((status = 200, body = Vec<String>)))]
async fn names(State(state): State<ApiState>, caller: Caller) -> Result<Json<Vec<String>>, ApiError> {
    Ok(Json(by_name(&state, caller).await?.into_keys().collect()))
}

/// All versions of all workflow definitions, by name.
#[utoipa::path(get, path = "/api/metadata/workflow/names-and-versions", tag = "metadata", responses((status = 200, body = BTreeMap<String, Vec<Version>>)))]
async fn names_and_versions(
    State(state): State<ApiState>,
    caller: Caller,
) -> Result<Json<BTreeMap<String, Vec<Version>>>, ApiError> {
    let all = by_name(&state, caller).await?;
    Ok(Json(all.into_iter().map(|(name, versions)| (name, versions.into_iter().map(Version::from).collect())).collect()))
}

/// The highest version of each workflow definition.
#[utoipa::path(get, path = "/api/metadata/workflow/latest-versions", tag = "metadata", responses((status = 200, body = Vec<crate::api::shapes::WorkflowDef>)))]
async fn latest(State(state): State<ApiState>, caller: Caller) -> Result<Json<Vec<WorkflowDef>>, ApiError> {
    let all = by_name(&state, caller).await?;
    Ok(Json(all.into_values().filter_map(|versions| versions.into_iter().max_by_key(|found| found.version)).collect()))
}

/// All versions of one workflow definition.
#[utoipa::path(get, path = "/api/metadata/workflow/{name}/versions", tag = "metadata", params(("name" = String, Path)),
    responses((status = 200, body = Vec<Version>), (status = 404, description = "There is none of this name")))]
async fn versions(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<Json<Vec<Version>>, ApiError> {
    let found = by_name(&state, caller).await?.remove(&name);
    let found = found.ok_or_else(|| ApiError::not_found("workflow definition", name))?;
    Ok(Json(found.into_iter().map(Version::from).collect()))
}

async fn by_name(state: &ApiState, caller: Caller) -> Result<BTreeMap<String, Vec<WorkflowDef>>, ApiError> {
    let all = state.app.read(move |store| store.workflow_defs(&caller.tenant)).await?;
    let mut grouped: BTreeMap<String, Vec<WorkflowDef>> = BTreeMap::new();
    for definition in all {
        grouped.entry(definition.name.clone()).or_default().push(definition);
    }
    Ok(grouped)
}
