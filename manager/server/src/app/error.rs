//! Why a use case was refused, in words that every door can translate.

use conductor_model::Violation;
use conductor_store::StoreError;
use thiserror::Error;

/// Why a use case was refused or failed.
#[derive(Debug, Error)]
pub enum AppError {
    /// There is no such thing, or it belongs to another tenant.
    #[error("no such {what}: {id}")]
    NotFound {
        /// Kind of thing, as in `workflow definition`.
        what: &'static str,
        /// As asked for.
        id: String,
    },
    /// The state of things does not allow it.
    #[error("{message}")]
    Conflict {
        /// Stable code, as in `workflow-not-running`.
        code: &'static str,
        /// What stands against it.
        message: String,
    },
    /// Who asks may not have it.
    #[error("{message}")]
    Forbidden {
        /// Stable code, as in `enrolment-token-expired`.
        code: &'static str,
        /// What stands against it.
        message: String,
    },
    /// The request is wrong.
    #[error("{message}")]
    Invalid {
        /// Stable code, as in `definition-invalid`.
        code: &'static str,
        /// What is wrong.
        message: String,
        /// Each fault with its place.
        violations: Vec<Violation>,
    },
    /// Something is too large.
    #[error("{what} is {size_bytes} bytes; at most {limit_bytes} are allowed")]
    TooLarge {
        /// What.
        what: &'static str,
        /// As given, where known; else the limit was passed.
        size_bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
    /// Cannot be done now; may be tried again.
    #[error("{reason}")]
    Unavailable {
        /// Why, and what to wait for.
        reason: String,
    },
    /// A fault of ours. The cause goes to the log, not to the caller.
    #[error("{operation} failed")]
    Internal {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl AppError {
    /// Shorthand for [`AppError::NotFound`].
    #[expect(clippy::needless_pass_by_value, reason = "callers hand over ids and texts alike")]
    pub fn not_found(what: &'static str, id: impl ToString) -> Self {
        Self::NotFound { what, id: id.to_string() }
    }

    /// Shorthand for [`AppError::Conflict`].
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::Conflict { code, message: message.into() }
    }

    /// Shorthand for [`AppError::Forbidden`].
    pub fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Self::Forbidden { code, message: message.into() }
    }

    /// Shorthand for [`AppError::Invalid`] without places.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { code, message: message.into(), violations: Vec::new() }
    }

    /// The stable code that programs branch on.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not-found",
            Self::Conflict { code, .. } | Self::Forbidden { code, .. } | Self::Invalid { code, .. } => code,
            Self::TooLarge { .. } => "too-large",
            Self::Unavailable { .. } => "unavailable",
            Self::Internal { .. } => "internal",
        }
    }
}

impl From<StoreError> for AppError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Exists { what } => Self::conflict("exists", format!("{what} exists already")),
            StoreError::Locked { kind, lock } => super::revisions::refusal(kind, *lock),
            StoreError::StaleVersion { stored, sent } => Self::conflict(
                "stale-version",
                format!(
                    "version {stored} is stored, but the update was made from version {sent}; read it again and repeat the change"
                ),
            ),
            StoreError::TooBroad { .. } => {
                Self::invalid("search-too-broad", format!("{error}; narrow it by name, status, correlation id or start time"))
            }
            StoreError::Closed => Self::Unavailable { reason: "the manager is shutting down".to_owned() },
            error @ (StoreError::Conflict { .. } | StoreError::Backend { .. } | StoreError::Corrupt { .. }) => {
                Self::Internal { operation: "storage", source: Box::new(error) }
            }
        }
    }
}
