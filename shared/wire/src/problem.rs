//! Errors of the manager's own API: RFC 9457 `application/problem+json`.

use serde::{Deserialize, Serialize};

/// The media type.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// An error as it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable code, as in `plugin-manifest-missing`. Programs branch on it.
    pub code: String,
    /// What went wrong, in a few words, the same for every error of the code.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was wrong and where, in this case.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
}
