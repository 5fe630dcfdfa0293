//! Why a file cannot be kept or read.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::KeyError;
use crate::app::AppError;

/// Why a file cannot be kept or read.
#[derive(Debug, Error)]
pub enum FileError {
    /// The path is not one.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// More bytes than are allowed.
    #[error("{what} is larger than {limit_bytes} bytes, its limit")]
    TooLarge {
        /// What was sent.
        what: &'static str,
        /// The limit.
        limit_bytes: u64,
    },
    /// A folder is where a file should be, or a file where a folder should be.
    #[error("{path} cannot be a file: {why}")]
    InTheWay {
        /// The path as asked for.
        path: String,
        /// What is in the way.
        why: &'static str,
    },
    /// The bytes are not those that the sender meant to send.
    #[error("the bytes that came have the SHA-256 {found}, but {expected} was announced")]
    Digest {
        /// As announced.
        expected: String,
        /// As received.
        found: String,
    },
    /// The sender went away.
    #[error("the upload broke off after {received_bytes} bytes")]
    BrokenOff {
        /// Bytes that came.
        received_bytes: u64,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The sender fell silent.
    #[error("nothing more came for {waited_ms} ms, after {received_bytes} bytes")]
    Stalled {
        /// Bytes that came.
        received_bytes: u64,
        /// How long was waited.
        waited_ms: u64,
    },
    /// The disk said no.
    #[error("cannot {step} {path}")]
    Io {
        /// What was tried.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

impl FileError {
    pub(in crate::app) fn io(step: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { step, path: path.to_owned(), source }
    }
}

impl From<FileError> for AppError {
    fn from(error: FileError) -> Self {
        let message = error.to_string();
        match error {
            FileError::Key(_) => Self::invalid("path-invalid", message),
            FileError::TooLarge { what, limit_bytes } => {
                Self::TooLarge { what, size_bytes: limit_bytes.saturating_add(1), limit_bytes }
            }
            FileError::Digest { .. } => Self::invalid("digest-mismatch", message),
            FileError::InTheWay { .. } => Self::conflict("path-in-the-way", message),
            FileError::BrokenOff { .. } => Self::invalid("upload-broken-off", message),
            FileError::Stalled { .. } => Self::invalid("upload-stalled", message),
            FileError::Io { step, .. } => Self::Internal { operation: step, source: Box::new(error) },
        }
    }
}
