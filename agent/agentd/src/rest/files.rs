//! Files: plugin archives in, resources in, artifacts out. Nothing is held in memory whole.

use std::path::Path;

use conductor_model::{PluginDigest, TaskId, TenantName};
use futures_util::StreamExt;
use reqwest::{Method, Response};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::{Rest, RestError};

/// Header with the SHA-256 of a file in the store.
const CHECKSUM_HEADER: &str = "x-checksum-sha256";
/// Bytes of a file that are sent at once.
const SEND_CHUNK_BYTES: usize = 64 * 1024;

impl Rest {
    /// Downloads a plugin's archive into `file` and says what its media type is. Its digest is checked by whoever unpacks it.
    ///
    /// # Errors
    /// When the manager cannot be reached or has no such plugin, and when the file cannot be written.
    pub async fn download_plugin(&self, digest: &PluginDigest, file: &Path) -> Result<(), RestError> {
        let path = format!("/api/v1/plugins/by-digest/{digest}/archive");
        let answer = self.send(self.request(Method::GET, &path), &path).await?;
        save(answer, &path, file).await.map(drop)
    }

    /// Downloads a file of the store and checks it against the store's checksum.
    ///
    /// # Errors
    /// When the manager cannot be reached or has no such file, when it came damaged, and when it cannot be written.
    pub async fn download_resource(&self, resource: &str, out: &mut (impl AsyncWrite + Unpin)) -> Result<(), RestError> {
        let path = format!("/resources/{}", escape(resource.trim_start_matches('/')));
        let answer = self.send(self.request(Method::GET, &path), &path).await?;
        let expected = answer.headers().get(CHECKSUM_HEADER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let found = copy(answer, &path, Path::new(resource), out).await?;
        match expected {
            Some(expected) if expected != found => Err(RestError::Checksum { path, expected, found }),
            Some(_) | None => Ok(()),
        }
    }

    /// Uploads an artifact of a task and says where it is.
    ///
    /// # Errors
    /// When the manager cannot be reached or refuses, and when the file cannot be read.
    pub async fn put_artifact(
        &self,
        tenant: &TenantName,
        task: TaskId,
        name: &str,
        length: u64,
        bytes: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<String, RestError> {
        let path = format!("/resources/artifacts/{tenant}/{task}/{}", escape(name));
        let stream = futures_util::stream::try_unfold(bytes, |mut bytes| async move {
            let mut chunk = bytes::BytesMut::with_capacity(SEND_CHUNK_BYTES);
            let count = tokio::io::AsyncReadExt::read_buf(&mut bytes, &mut chunk).await?;
            Ok::<_, std::io::Error>((count > 0).then(|| (chunk.freeze(), bytes)))
        });
        let request = self
            .request(Method::PUT, &path)
            .header(reqwest::header::CONTENT_LENGTH, length)
            .body(reqwest::Body::wrap_stream(stream));
        self.send(request, &path).await?;
        Ok(path)
    }
}

/// Writes an answer to a file and gives its SHA-256.
async fn save(answer: Response, path: &str, file: &Path) -> Result<String, RestError> {
    let write = |source| RestError::File { step: "write", path: file.to_owned(), source };
    let mut out = tokio::fs::File::create(file).await.map_err(write)?;
    copy(answer, path, file, &mut out).await
}

/// Writes an answer and gives its SHA-256; `file` is how it is called when it cannot be written.
async fn copy(answer: Response, path: &str, file: &Path, out: &mut (impl AsyncWrite + Unpin)) -> Result<String, RestError> {
    let write = |source| RestError::File { step: "write", path: file.to_owned(), source };
    let mut hash = Sha256::new();
    let mut chunks = answer.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|source| RestError::Unreachable { path: path.to_owned(), source })?;
        hash.update(&chunk);
        out.write_all(&chunk).await.map_err(write)?;
    }
    out.flush().await.map_err(write)?;
    Ok(hex::encode(hash.finalize()))
}

/// A path with everything escaped that has a meaning in a URL, except the slashes.
#[must_use]
pub(super) fn escape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_and_keep_their_slashes() {
        assert_eq!(escape("a b/ü?#%"), "a%20b/%C3%BC%3F%23%25");
    }
}
