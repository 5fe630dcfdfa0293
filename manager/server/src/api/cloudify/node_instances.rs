//! `/api/v3.1/node-instances`.

use axum::Json;
use axum::extract::{Path, State};
use conductor_model::NodeInstance;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::ApiError;
use crate::api::extract::{JsonBody, Params, parse_json};
use crate::api::limits::{OFFSET_MAX, PAGE_ROWS_MAX};
use crate::api::state::ApiState;
use crate::app::Caller;
use crate::app::node_instances::NodeInstancePatch;

/// Rows of a list where no number is asked for, as Cloudify has it.
const PAGE_ROWS: usize = 1_000;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(get, update))
}

/// What an update may change. What is absent stays.
#[derive(Debug, Deserialize)]
struct Patch {
    version: Option<u64>,
    state: Option<String>,
    runtime_properties: Option<Map<String, Value>>,
    system_properties: Option<Map<String, Value>>,
    relationships: Option<Vec<Value>>,
}

/// Node instances, by id.
#[utoipa::path(get, path = "/api/v3.1/node-instances", tag = "node-instances",
    params(("id" = Option<Vec<String>>, Query), ("node_id" = Option<String>, Query), ("deployment_id" = Option<String>, Query), ("state" = Option<String>, Query),
        ("_offset" = Option<u32>, Query), ("_size" = Option<u32>, Query, description = "Default 1000"), ("_include" = Option<String>, Query, description = "Fields, by comma")),
    responses((status = 200, body = crate::api::shapes::NodeInstances, description = "{items, metadata: {pagination: {total, size, offset}, filtered}}")))]
async fn list(State(state): State<ApiState>, caller: Caller, params: Params) -> Result<Json<Value>, ApiError> {
    let offset = params.number("_offset", 0, OFFSET_MAX)?;
    let size =
        if params.flag("_get_all_results", false)? { OFFSET_MAX } else { params.number("_size", PAGE_ROWS, PAGE_ROWS_MAX)? };
    let mut found = state.app.read(move |store| store.node_instances(&caller.tenant)).await?;
    found.retain(|instance| is_wanted(instance, &params));
    let total = found.len();
    let items: Vec<Value> = found.iter().skip(offset).take(size).map(|found| included(shown(found), &params)).collect();
    Ok(Json(json!({
        "items": items,
        "metadata": { "pagination": { "total": total, "size": size, "offset": offset }, "filtered": null },
    })))
}

/// One node instance.
#[utoipa::path(get, path = "/api/v3.1/node-instances/{id}", tag = "node-instances", params(("id" = String, Path)),
    responses((status = 200, body = Object, description = "Node instance"), (status = 404, description = "There is none")))]
async fn get(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let wanted = id.clone();
    let found = state.app.read(move |store| store.node_instance(&caller.tenant, &wanted)).await?;
    let found = found.ok_or_else(|| ApiError::not_found("node instance", id))?;
    Ok(Json(included(shown(&found), &params)))
}

/// Changes a node instance. `version` is the one that was read; the update is refused when it was changed since. Each map
/// that is given replaces the stored one as a whole.
#[utoipa::path(patch, path = "/api/v3.1/node-instances/{id}", tag = "node-instances",
    params(("id" = String, Path), ("force" = Option<bool>, Query, description = "Whatever the stored version")),
    request_body(content = crate::api::bodies::NodeInstanceUpdate, description = "{version, state, runtime_properties, system_properties, relationships}"),
    responses((status = 200, body = crate::api::shapes::NodeInstance, description = "Changed; its version grew by one"), (status = 404, description = "There is none"),
        (status = 409, description = "conflict_error: it was changed since")))]
async fn update(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
    JsonBody(body): JsonBody<Patch>,
) -> Result<Json<Value>, ApiError> {
    let is_forced = params.is_given("force") && params.flag("force", true)?;
    let patch = body.into_patch(is_forced)?;
    Ok(Json(shown(&state.app.update_node_instance(&caller.tenant, &id, patch).await?)))
}

/// Reads a body as [`update`] does.
pub(in crate::api) fn read_patch(bytes: &[u8]) -> Result<(), ApiError> {
    parse_json::<Patch>(bytes)?.into_patch(true).map(|_| ())
}

impl Patch {
    fn into_patch(self, is_forced: bool) -> Result<NodeInstancePatch, ApiError> {
        if self.version.is_none() && !is_forced {
            return Err(ApiError::bad_request("version-missing", "version: the version that was read must be given")
                .hint("GET the node instance and send its version along"));
        }
        Ok(NodeInstancePatch {
            version: self.version.filter(|_| !is_forced),
            state: self.state,
            runtime_properties: self.runtime_properties,
            system_properties: self.system_properties,
            relationships: self.relationships,
        })
    }
}

fn is_wanted(instance: &NodeInstance, params: &Params) -> bool {
    let is_one_of = |name: &str, value: &str| {
        let mut wanted = params.all(name).peekable();
        wanted.peek().is_none() || wanted.any(|wanted| wanted == value)
    };
    is_one_of("id", &instance.id)
        && is_one_of("node_id", &instance.node_id)
        && is_one_of("deployment_id", &instance.deployment_id)
        && is_one_of("state", &instance.state)
}

/// A node instance as Cloudify shows it.
fn shown(instance: &NodeInstance) -> Value {
    json!({
        "id": instance.id,
        "tenant_name": instance.tenant,
        "node_id": instance.node_id,
        "deployment_id": instance.deployment_id,
        "host_id": instance.host_id,
        "state": instance.state,
        "version": instance.version,
        "index": instance.index,
        "runtime_properties": instance.runtime_properties,
        "system_properties": instance.system_properties,
        "relationships": instance.relationships,
        "scaling_groups": instance.scaling_groups,
        "has_configuration_drift": false,
        "is_status_check_ok": true,
        "visibility": "tenant",
        "resource_availability": "tenant",
        "private_resource": false,
        "created_at": crate::api::iso(instance.created_at),
    })
}

/// Only the fields that `_include` names.
fn included(shown: Value, params: &Params) -> Value {
    let (Some(wanted), Value::Object(fields)) = (params.text("_include"), &shown) else { return shown };
    let wanted: Vec<&str> = wanted.split(',').map(str::trim).collect();
    Value::Object(
        fields.iter().filter(|(name, _)| wanted.contains(&name.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect(),
    )
}
