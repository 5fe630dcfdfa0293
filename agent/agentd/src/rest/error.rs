//! What can go wrong with a request.

use thiserror::Error;

/// Most characters of an answer that are quoted in an error.
const QUOTED_MAX: usize = 300;

/// Why a request came to nothing.
#[derive(Debug, Error)]
pub enum RestError {
    /// No client could be made.
    #[error("cannot make an HTTP client")]
    Client {
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
    /// No answer, or only a part of it.
    #[error("the manager did not answer at {path}")]
    Unreachable {
        /// What was asked for.
        path: String,
        /// Why not.
        #[source]
        source: reqwest::Error,
    },
    /// An answer that says no.
    #[error("the manager answered {status} at {path}: {message}")]
    Refused {
        /// What was asked for.
        path: String,
        /// The HTTP status.
        status: u16,
        /// What the manager says.
        message: String,
    },
    /// An answer that is not what was asked for.
    #[error("the manager's answer at {path} cannot be read")]
    Shape {
        /// What was asked for.
        path: String,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// A file here cannot be read or written.
    #[error("cannot {step} {path}")]
    File {
        /// What was tried.
        step: &'static str,
        /// Which file.
        path: std::path::PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// What came is not what the manager says it is.
    #[error("the checksum of {path} is {found}, not {expected}: it was damaged on the way")]
    Checksum {
        /// What was asked for.
        path: String,
        /// The manager's checksum.
        expected: String,
        /// The checksum of what came.
        found: String,
    },
}

impl RestError {
    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Checksum { .. } => true,
            Self::Refused { status, .. } => *status >= 500 || matches!(status, 408 | 425 | 429),
            Self::Client { .. } | Self::Shape { .. } | Self::File { .. } => false,
        }
    }

    /// The HTTP status, where there was an answer that says no.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Client { .. } | Self::Unreachable { .. } | Self::Shape { .. } | Self::File { .. } | Self::Checksum { .. } => {
                None
            }
        }
    }
}

/// The part for people of an error's body, whichever door it came from.
pub(super) fn message_of(body: &[u8]) -> String {
    let text = match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(value) => ["detail", "message", "title"]
            .iter()
            .find_map(|key| value.get(key)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned))
            .unwrap_or_else(|| value.to_string()),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    text.chars().take(QUOTED_MAX).collect()
}
