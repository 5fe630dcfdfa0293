//! Workflows by their starter's own id.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use conductor_model::{TenantName, WorkflowStatus};
use conductor_store::{Page, WorkflowFilter};
use serde_json::value::RawValue;

use super::super::load;
use crate::api::ApiError;
use crate::api::extract::{JsonBody, Params, parse_json};
use crate::api::limits::PAGE_ROWS_MAX;
use crate::api::state::ApiState;
use crate::app::Caller;

/// Correlation ids in one request.
const CORRELATION_IDS_MAX: usize = 100;

/// Workflows of one name with a correlation id, newest first.
#[utoipa::path(get, path = "/api/workflow/{name}/correlated/{correlation_id}", tag = "workflows",
    params(("name" = String, Path), ("correlation_id" = String, Path), ("includeClosed" = Option<bool>, Query),
        ("includeTasks" = Option<bool>, Query)),
    responses((status = 200, body = Vec<crate::api::shapes::Workflow>, description = "Workflows")))]
pub(super) async fn correlated(
    State(state): State<ApiState>,
    caller: Caller,
    Path((name, correlation_id)): Path<(String, String)>,
    params: Params,
) -> Result<Json<Vec<Box<RawValue>>>, ApiError> {
    let wanted = Wanted::from(&params)?;
    Ok(Json(find(&state, &caller.tenant, &name, correlation_id, wanted).await?))
}

/// Workflows of one name, by correlation id.
#[utoipa::path(post, path = "/api/workflow/{name}/correlated", tag = "workflows",
    params(("name" = String, Path), ("includeClosed" = Option<bool>, Query), ("includeTasks" = Option<bool>, Query)),
    request_body(content = Vec<String>, description = "Correlation ids"),
    responses((status = 200, body = BTreeMap<String, Vec<crate::api::shapes::Workflow>>, description = "Workflows by correlation id")))]
pub(super) async fn correlated_batch(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
    params: Params,
    JsonBody(ids): JsonBody<Vec<String>>,
) -> Result<Json<BTreeMap<String, Vec<Box<RawValue>>>>, ApiError> {
    let wanted = Wanted::from(&params)?;
    if ids.len() > CORRELATION_IDS_MAX {
        let message = format!("{} correlation ids are asked for at once; at most {CORRELATION_IDS_MAX} are allowed", ids.len());
        return Err(ApiError::bad_request("too-many", message));
    }
    let mut found = BTreeMap::new();
    for id in ids {
        found.insert(id.clone(), find(&state, &caller.tenant, &name, id, wanted).await?);
    }
    Ok(Json(found))
}

/// Conductor's CorrelationIdsSearchRequest.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SeveralBody {
    correlation_ids: Vec<String>,
    workflow_names: Vec<String>,
}

/// Reads a body as [`correlated_of_several`] does.
pub(in crate::api) fn read_correlated(bytes: &[u8]) -> Result<(), ApiError> {
    parse_json::<SeveralBody>(bytes).map(|_| ())
}

/// Workflows of several names, by correlation id.
#[utoipa::path(post, path = "/api/workflow/correlated/batch", tag = "workflows",
    params(("includeClosed" = Option<bool>, Query), ("includeTasks" = Option<bool>, Query)),
    request_body(content = crate::api::bodies::CorrelationIdsSearchRequest, description = "correlationIds and workflowNames, together at most 100 pairs"),
    responses((status = 200, body = BTreeMap<String, Vec<crate::api::shapes::Workflow>>, description = "Workflows by correlation id"), (status = 400, description = "Too many")))]
pub(super) async fn correlated_of_several(
    State(state): State<ApiState>,
    caller: Caller,
    params: Params,
    JsonBody(body): JsonBody<SeveralBody>,
) -> Result<Json<BTreeMap<String, Vec<Box<RawValue>>>>, ApiError> {
    let wanted = Wanted::from(&params)?;
    let pairs = body.correlation_ids.len().saturating_mul(body.workflow_names.len());
    if pairs > CORRELATION_IDS_MAX {
        let message =
            format!("{pairs} pairs of name and correlation id are asked for; at most {CORRELATION_IDS_MAX} are allowed");
        return Err(ApiError::bad_request("too-many", message));
    }
    let mut found: BTreeMap<String, Vec<Box<RawValue>>> = BTreeMap::new();
    for id in body.correlation_ids {
        for name in &body.workflow_names {
            let workflows = find(&state, &caller.tenant, name, id.clone(), wanted).await?;
            found.entry(id.clone()).or_default().extend(workflows);
        }
    }
    Ok(Json(found))
}

#[derive(Clone, Copy, Debug)]
struct Wanted {
    closed: bool,
    tasks: bool,
}

impl Wanted {
    fn from(params: &Params) -> Result<Self, ApiError> {
        Ok(Self { closed: params.flag("includeClosed", false)?, tasks: params.flag("includeTasks", false)? })
    }
}

async fn find(
    state: &ApiState,
    tenant: &TenantName,
    name: &str,
    correlation_id: String,
    wanted: Wanted,
) -> Result<Vec<Box<RawValue>>, ApiError> {
    let open = [WorkflowStatus::Running, WorkflowStatus::Paused];
    let filter = WorkflowFilter {
        name: Some(name.to_owned()),
        correlation_id: Some(correlation_id),
        statuses: if wanted.closed { Vec::new() } else { open.to_vec() },
        ..WorkflowFilter::default()
    };
    let page = Page { before: None, offset: 0, limit: PAGE_ROWS_MAX };
    let owner = tenant.clone();
    let records = state.app.read(move |store| store.workflows(&owner, &filter, page)).await?;
    let mut shown = Vec::with_capacity(records.len());
    for record in &records {
        shown.push(load::workflow_json(state, record, wanted.tasks).await?);
    }
    Ok(shown)
}
