//! The manager itself.

use reqwest::Method;
use serde_json::Value;

use crate::{Client, ClientError};

impl Client {
    /// What the manager says of its health.
    ///
    /// # Errors
    /// When it does not answer, or is not healthy.
    pub async fn health(&self) -> Result<Value, ClientError> {
        self.call(Method::GET, &["health"], &[]).read().await
    }

    /// The manager's version.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn version(&self) -> Result<Value, ClientError> {
        self.call(Method::GET, &["api", "v1", "version"], &[]).read().await
    }
}
