//! Plugins as the manager keeps them.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::names::{PluginDigest, PluginName, TenantName};
use crate::time::Timestamp;

/// One uploaded version of a plugin. The archive itself lies in the file store under its digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginRecord {
    /// Owner.
    pub tenant: TenantName,
    /// The plugin's name.
    pub name: PluginName,
    /// The version as the manifest says it.
    pub version: String,
    /// SHA-256 of the archive.
    pub digest: PluginDigest,
    /// Length of the archive in bytes.
    pub size_bytes: u64,
    /// `application/gzip` or `application/zstd`.
    pub media_type: String,
    /// The manifest (`plugin.yaml`) as JSON.
    pub manifest: Value,
    /// When it was uploaded.
    pub uploaded_at: Timestamp,
}
