//! Why a script has no result.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a script has no result.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum ScriptError {
    /// The source is not of its language.
    #[error("the script cannot be read: {message}")]
    Syntax {
        /// What stands where, as far as the parser says.
        message: String,
    },
    /// The script itself failed.
    #[error("{message}")]
    Failed {
        /// What it threw.
        message: String,
    },
    /// It did not end in time.
    #[error("the script did not end within its {limit_ms} ms")]
    TimeLimit {
        /// The time that it was given.
        limit_ms: u64,
    },
    /// It asked for too much memory.
    #[error("the script needs more than {limit_bytes} bytes of memory")]
    MemoryLimit {
        /// The memory that it was given.
        limit_bytes: u64,
    },
    /// Its calls or values are nested too deeply.
    #[error("the script nests calls or values too deeply")]
    DepthLimit,
    /// The source is too long.
    #[error("the script is {bytes} bytes long; at most {limit_bytes} are allowed")]
    SourceTooLong {
        /// Its length.
        bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// The result is too large.
    #[error("the script's result is larger than {limit_bytes} bytes of JSON")]
    ResultTooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The result is nested too deeply.
    #[error("the script's result is nested deeper than {limit} levels")]
    ResultTooDeep {
        /// The limit.
        limit: u64,
    },
    /// The helper process could not be started or spoken to; not the script's fault.
    #[error("scripts cannot be evaluated at the moment: {message}")]
    Unavailable {
        /// What failed.
        message: String,
    },
}

impl ScriptError {
    /// Whether another try may end better: the script is not to blame.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
