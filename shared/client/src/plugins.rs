//! Plugins.

use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agents::Items;
use crate::limits::TRANSFER_TIMEOUT;
use crate::{Client, ClientError};

/// One version of a plugin as the API shows it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PluginView {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its archive.
    pub digest: String,
    /// Length of its archive in bytes.
    #[serde(default)]
    pub size_bytes: u64,
    /// Its manifest as JSON.
    #[serde(default)]
    pub manifest: Value,
    /// When it was uploaded.
    #[serde(default)]
    pub uploaded_at: Value,
}

/// What became of an upload.
#[derive(Clone, Debug, Serialize)]
pub struct Uploaded {
    /// The plugin.
    pub plugin: PluginView,
    /// `false` = exactly this archive was there already.
    pub created: bool,
}

impl Client {
    /// All plugins in all versions.
    ///
    /// # Errors
    /// When the manager refuses or does not answer.
    pub async fn plugins(&self) -> Result<Vec<PluginView>, ClientError> {
        Ok(self.call(Method::GET, &["api", "v1", "plugins"], &[]).read::<Items<PluginView>>().await?.items)
    }

    /// Uploads an archive; `media_type` is `application/gzip` or `application/zstd`.
    ///
    /// # Errors
    /// When the archive is refused; the code says why.
    pub async fn upload_plugin(&self, archive: Vec<u8>, media_type: &str) -> Result<Uploaded, ClientError> {
        let call = self.call(Method::POST, &["api", "v1", "plugins"], &[]).timeout(TRANSFER_TIMEOUT).body(media_type, archive);
        let name = call.name();
        let response = call.send().await?;
        let created = response.status() == StatusCode::CREATED;
        let unreadable = |error: reqwest::Error| ClientError::Answer { request: name, reason: error.to_string() };
        Ok(Uploaded { plugin: response.json().await.map_err(unreadable)?, created })
    }

    /// Takes a plugin's archive away.
    ///
    /// # Errors
    /// When there is none of that digest.
    pub async fn delete_plugin(&self, digest: &str) -> Result<(), ClientError> {
        self.call(Method::DELETE, &["api", "v1", "plugins", "by-digest", digest], &[]).done().await
    }
}
