//! Shapes of what Cloudify's plugins read.
#![expect(dead_code, reason = "only read by the description of the API")]

use serde_json::Value;
use utoipa::ToSchema;

use super::Object;

/// One host or one part of a deployment (Cloudify).
#[derive(ToSchema)]
pub(in crate::api) struct NodeInstance {
    id: String,
    node_id: String,
    deployment_id: String,
    host_id: Option<String>,
    state: String,
    version: u64,
    runtime_properties: Object,
    system_properties: Object,
    relationships: Vec<Value>,
    scaling_groups: Vec<Value>,
    tenant_name: String,
}

/// Node instances (Cloudify). With `_include`, each has the fields that are named, and no others.
#[derive(ToSchema)]
pub(in crate::api) struct NodeInstances {
    items: Vec<Object>,
    metadata: NodeInstancesMetadata,
}

#[derive(ToSchema)]
pub(in crate::api) struct NodeInstancesMetadata {
    pagination: Pagination,
}

#[derive(ToSchema)]
pub(in crate::api) struct Pagination {
    total: u64,
    size: u64,
    offset: u64,
}
