//! Node instances and their runtime properties.

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::agents::Items;
use crate::{Client, ClientError};

const PATH: [&str; 3] = ["api", "v3.1", "node-instances"];

impl Client {
    /// All node instances, in Cloudify's shape.
    ///
    /// # Errors
    /// When the manager refuses or does not answer.
    pub async fn node_instances(&self) -> Result<Vec<Value>, ClientError> {
        Ok(self.call(Method::GET, &PATH, &[]).read::<Items<Value>>().await?.items)
    }

    /// One node instance, in Cloudify's shape.
    ///
    /// # Errors
    /// When there is none.
    pub async fn node_instance(&self, id: &str) -> Result<Value, ClientError> {
        self.call(Method::GET, &[PATH[0], PATH[1], PATH[2], id], &[]).read().await
    }

    /// Sets all runtime properties of a node instance, if its version is still `version`.
    ///
    /// # Errors
    /// A conflict when it was changed in the meantime.
    pub async fn patch_node_instance(
        &self,
        id: &str,
        version: u64,
        runtime_properties: &Map<String, Value>,
    ) -> Result<Value, ClientError> {
        let body = json!({"version": version, "runtime_properties": runtime_properties});
        self.call(Method::PATCH, &[PATH[0], PATH[1], PATH[2], id], &[]).json(&body).read().await
    }
}
