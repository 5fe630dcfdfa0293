//! Ids and names in paths. An id that cannot be one is an id that does not exist.

use std::str::FromStr;

use conductor_model::names::NameError;
use conductor_model::{TaskId, WorkflowId};

use crate::api::ApiError;

/// A workflow's id.
pub(in crate::api) fn workflow_id(text: &str) -> Result<WorkflowId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found("workflow", text).hint("workflow ids are UUIDs"))
}

/// A task's id.
pub(in crate::api) fn task_id(text: &str) -> Result<TaskId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found("task", text).hint("task ids are UUIDs"))
}

/// A checked name.
pub(in crate::api) fn name_in_path<T: FromStr<Err = NameError>>(text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|error: NameError| ApiError::bad_request("name-invalid", error.to_string()))
}
