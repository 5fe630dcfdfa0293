//! Node instances: one host or one part of a deployment, and its runtime properties (Cloudify REST, node-instances).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::names::TenantName;
use crate::time::Timestamp;

/// A node instance in the shape of `/api/v3.1/node-instances/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeInstance {
    /// Unique; an agent's host has its agent's id.
    pub id: String,
    /// Owner.
    #[serde(rename = "tenant_name")]
    pub tenant: TenantName,
    /// The node it is an instance of.
    pub node_id: String,
    /// The deployment it is a part of; empty for a bare agent host.
    pub deployment_id: String,
    /// The node instance of the host it lives on; itself for a host.
    pub host_id: Option<String>,
    /// Life-cycle state, as in `started`.
    pub state: String,
    /// Grows by one with each update. An update that was made from an older version is refused.
    pub version: u64,
    /// Counts the instances of one node from 1.
    pub index: u32,
    /// What operations and agents reported.
    pub runtime_properties: Map<String, Value>,
    /// What the manager keeps of it.
    pub system_properties: Map<String, Value>,
    /// Relationships to other node instances.
    pub relationships: Vec<Value>,
    /// Scaling groups.
    pub scaling_groups: Vec<Value>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}
