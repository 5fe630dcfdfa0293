//! The manager's file store.

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Method, Response};
use serde::Serialize;

use crate::limits::TRANSFER_TIMEOUT;
use crate::{Client, ClientError};

/// A file as the store has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredFile {
    /// `<area>/<tenant>/<path>`.
    pub path: String,
    /// Its SHA-256, where the store says it.
    pub sha256: Option<String>,
    /// Its length in bytes, where the store says it.
    pub size_bytes: Option<u64>,
}

fn stored(path: &str, headers: &HeaderMap) -> StoredFile {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let sha256 = text("x-checksum-sha256").or_else(|| text("etag")).map(|text| text.trim_matches('"').to_owned());
    StoredFile { path: path.to_owned(), sha256, size_bytes: text("content-length").and_then(|text| text.parse().ok()) }
}

impl Client {
    fn file_call(&self, method: Method, path: &str) -> crate::http::Call {
        let mut segments = vec!["resources"];
        segments.extend(path.split('/').filter(|segment| !segment.is_empty()));
        self.call(method, &segments, &[]).timeout(TRANSFER_TIMEOUT)
    }

    /// Stores a file under `<area>/<tenant>/<path>`, in place of what was there.
    ///
    /// # Errors
    /// When the path is not allowed or the file is too large.
    pub async fn put_file(&self, path: &str, content: impl Into<reqwest::Body>) -> Result<StoredFile, ClientError> {
        let response = self.file_call(Method::PUT, path).body("application/octet-stream", content).send().await?;
        let mut file = stored(path, response.headers());
        file.size_bytes = None;
        Ok(file)
    }

    /// A file's content.
    ///
    /// # Errors
    /// When there is none.
    pub async fn get_file(&self, path: &str) -> Result<Bytes, ClientError> {
        self.file_call(Method::GET, path).bytes().await
    }

    /// A file's content as it comes in.
    ///
    /// # Errors
    /// When there is none.
    pub async fn open_file(&self, path: &str) -> Result<Response, ClientError> {
        self.file_call(Method::GET, path).send().await
    }

    /// What the store has under a path.
    ///
    /// # Errors
    /// When there is none.
    pub async fn head_file(&self, path: &str) -> Result<StoredFile, ClientError> {
        Ok(stored(path, self.file_call(Method::HEAD, path).send().await?.headers()))
    }

    /// Takes a file away.
    ///
    /// # Errors
    /// When there is none.
    pub async fn delete_file(&self, path: &str) -> Result<(), ClientError> {
        self.file_call(Method::DELETE, path).done().await
    }
}
