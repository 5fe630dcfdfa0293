//! Task and workflow definitions, in the JSON shapes of the Conductor API.
//!
//! Unknown properties are ignored and a `null` counts as absent, as Conductor SDKs expect. A value of a wrong type is
//! an error that names its place. `validate` says everything that is wrong at once.

mod agent_key;
mod parts;
mod sealed;
mod step;
mod task;
mod task_type;
mod workflow;

pub use agent_key::{AgentKey, ResourceLimits};
pub use parts::{IdempotencyStrategy, JoinMode, RateLimitConfig, RateLimitPolicy, SchemaDef, SubWorkflowParams};
pub use sealed::{ENVIRONMENT, SECRETS, each_sealed, sealed_for_nobody, sealed_in, sealed_name};
pub use step::WorkflowTask;
pub use task::{RetryLogic, TaskDef, TaskTimeoutPolicy};
pub use task_type::TaskType;
pub use workflow::{WorkflowDef, WorkflowTimeoutPolicy};

use serde::{Deserialize, Deserializer, Serialize};

/// One thing that is wrong with a definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Where, as in `tasks[2].taskReferenceName`.
    pub path: String,
    /// What is wrong and what is expected.
    pub message: String,
    /// The offending value, as text, where one was given.
    #[serde(rename = "invalidValue", skip_serializing_if = "Option::is_none")]
    pub invalid_value: Option<String>,
}

impl Violation {
    /// A violation at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>, value: Option<String>) -> Self {
        Self { path: path.into(), message: message.into(), invalid_value: value }
    }
}

/// Reads `null` as the type's default: SDKs write every field they know.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Whether a field that is written only when it says something can be left out.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Checks a definition's name: what the Conductor API allows, no control characters, at most
/// [`crate::limits::DEFINITION_NAME_BYTES_MAX`] bytes.
pub(crate) fn check_definition_name(path: &str, name: &str, out: &mut Vec<Violation>) {
    if name.is_empty() {
        out.push(Violation::new(path, "must not be empty", None));
    } else if name.len() > crate::limits::DEFINITION_NAME_BYTES_MAX {
        let message = format!("is {} bytes long; at most {} are allowed", name.len(), crate::limits::DEFINITION_NAME_BYTES_MAX);
        out.push(Violation::new(path, message, None));
    } else if let Some(bad) = name
        .chars()
        .find(|&c| !(c.is_alphanumeric() || matches!(c, '_' | '<' | '>' | '{' | '}' | '#' | '-' | ' ' | '.' | ':' | '@' | '/')))
    {
        let message = format!("has the character {bad:?}; allowed are letters, digits, blanks and _ < > {{ }} # - . : @ /");
        out.push(Violation::new(path, message, Some(name.to_owned())));
    }
}
