//! Receiving an upload into a file of its own, hashed on the way.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use tempfile::TempPath;
use tokio::io::AsyncWriteExt;

use super::{FileError, UPLOAD_STALL_MS_MAX};

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 256 * 1024;

/// What was received: durable, but not yet in its place. Dropping it removes it.
#[derive(Debug)]
pub struct Received {
    /// Where it lies.
    pub place: TempPath,
    /// Its length.
    pub size_bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// Receives a stream into a new file in `folder`; at most `limit_bytes`.
///
/// # Errors
/// [`FileError::TooLarge`], [`FileError::BrokenOff`], [`FileError::Stalled`] or [`FileError::Io`]; nothing is left then.
pub async fn receive<S, E>(mut stream: S, folder: &Path, what: &'static str, limit_bytes: u64) -> Result<Received, FileError>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let made = tempfile::Builder::new().prefix("upload-").tempfile_in(folder);
    let (file, place) = made.map_err(|source| FileError::io("make a file in", folder, source))?.into_parts();
    let mut writer = tokio::io::BufWriter::with_capacity(BUFFER_BYTES, tokio::fs::File::from_std(file));
    let (mut hash, mut size_bytes) = (Sha256::new(), 0_u64);
    while let Some(chunk) = next_chunk(&mut stream, size_bytes).await? {
        size_bytes += chunk.len() as u64;
        if size_bytes > limit_bytes {
            return Err(FileError::TooLarge { what, limit_bytes });
        }
        hash.update(&chunk);
        writer.write_all(&chunk).await.map_err(|source| FileError::io("write", &place, source))?;
    }
    let finished = async {
        writer.flush().await?;
        writer.get_ref().sync_all().await
    };
    finished.await.map_err(|source| FileError::io("sync", &place, source))?;
    Ok(Received { place, size_bytes, sha256: hex::encode(hash.finalize()) })
}

async fn next_chunk<S, E>(stream: &mut S, received_bytes: u64) -> Result<Option<Bytes>, FileError>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match tokio::time::timeout(Duration::from_millis(UPLOAD_STALL_MS_MAX), stream.next()).await {
        Err(_) => Err(FileError::Stalled { received_bytes, waited_ms: UPLOAD_STALL_MS_MAX }),
        Ok(None) => Ok(None),
        Ok(Some(Ok(chunk))) => Ok(Some(chunk)),
        Ok(Some(Err(error))) => Err(FileError::BrokenOff { received_bytes, source: error.into() }),
    }
}
