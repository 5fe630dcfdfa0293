//! Runtime properties of node instances, with the manager's optimistic version check.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Rest, RestError, read_json};

/// How often an update is begun again because somebody else was faster.
const CONFLICTS_MAX: u32 = 20;

/// What is read of a node instance.
#[derive(Debug, Deserialize)]
pub struct InstanceView {
    /// Grows with each update.
    pub version: u64,
    /// What operations and agents reported.
    #[serde(default)]
    pub runtime_properties: Map<String, Value>,
}

impl Rest {
    /// Reads a node instance.
    ///
    /// # Errors
    /// When the manager cannot be reached or there is no such instance.
    pub async fn node_instance(&self, id: &str) -> Result<InstanceView, RestError> {
        let path = path_of(id);
        let answer = self.send(self.request(Method::GET, &path), &path).await?;
        read_json(answer, &path).await
    }

    /// Sets keys of a node instance's runtime properties and removes those that are `null`; other keys stay, also those
    /// that somebody else sets at the same time.
    ///
    /// # Errors
    /// When the manager cannot be reached or refuses, or after too many conflicts in a row.
    pub async fn merge_properties(&self, id: &str, changes: &Map<String, Value>) -> Result<(), RestError> {
        let path = path_of(id);
        let mut conflicts = 0;
        let mut backoff = super::Backoff::new(std::time::Duration::from_secs(1));
        loop {
            let instance = self.node_instance(id).await?;
            let merged = merge(instance.runtime_properties.clone(), changes);
            if merged == instance.runtime_properties {
                return Ok(());
            }
            let body = json!({ "version": instance.version, "runtime_properties": merged });
            match self.send(self.request(Method::PATCH, &path).json(&body), &path).await {
                Ok(_) => return Ok(()),
                Err(error) if error.status() == Some(409) && conflicts < CONFLICTS_MAX => {
                    conflicts += 1;
                    backoff.wait().await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

fn merge(mut properties: Map<String, Value>, changes: &Map<String, Value>) -> Map<String, Value> {
    for (key, value) in changes {
        if value.is_null() {
            properties.remove(key);
        } else {
            properties.insert(key.clone(), value.clone());
        }
    }
    properties
}

fn path_of(id: &str) -> String {
    format!("/api/v3.1/node-instances/{}", super::files::escape(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_removes_and_the_rest_stays() {
        let old = json!({"a": 1, "b": 2, "c": 3});
        let changes = json!({"a": null, "b": {"x": 1}, "d": null});
        let merged = merge(old.as_object().unwrap().clone(), changes.as_object().unwrap());
        assert_eq!(Value::Object(merged), json!({"b": {"x": 1}, "c": 3}));
    }
}
