//! Definitions.

use std::collections::BTreeMap;

use conductor_model::{TaskDef, WorkflowDef};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::http::optional;
use crate::{Client, ClientError};

/// What became of each of many.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BulkAnswer {
    /// Those that failed, with the reason.
    pub bulk_error_results: BTreeMap<String, String>,
    /// Those that did not.
    pub bulk_successful_results: Vec<String>,
}

impl Client {
    /// Stores task definitions, new or again; all or none.
    ///
    /// # Errors
    /// When one of them is not valid.
    pub async fn put_task_defs<T: Serialize>(&self, definitions: &[T]) -> Result<(), ClientError> {
        self.call(Method::POST, &["api", "metadata", "taskdefs"], &[]).json(&definitions).done().await
    }

    /// All task definitions.
    ///
    /// # Errors
    /// When the manager refuses or does not answer.
    pub async fn task_defs(&self) -> Result<Vec<TaskDef>, ClientError> {
        self.call(Method::GET, &["api", "metadata", "taskdefs"], &[]).read().await
    }

    /// One task definition.
    ///
    /// # Errors
    /// When the manager refuses or does not answer; that there is none is no error.
    pub async fn task_def(&self, name: &str) -> Result<Option<TaskDef>, ClientError> {
        optional(self.call(Method::GET, &["api", "metadata", "taskdefs", name], &[]).read().await)
    }

    /// Stores workflow definitions, new or again.
    ///
    /// # Errors
    /// When one of them is not valid.
    pub async fn put_workflow_defs<T: Serialize>(&self, definitions: &[T]) -> Result<BulkAnswer, ClientError> {
        let call = self.call(Method::PUT, &["api", "metadata", "workflow"], &[]).json(&definitions);
        Ok(call.read::<Option<BulkAnswer>>().await?.unwrap_or_default())
    }

    /// All workflow definitions.
    ///
    /// # Errors
    /// When the manager refuses or does not answer.
    pub async fn workflow_defs(&self) -> Result<Vec<WorkflowDef>, ClientError> {
        self.call(Method::GET, &["api", "metadata", "workflow"], &[]).read().await
    }

    /// One workflow definition; the highest version where none is named.
    ///
    /// # Errors
    /// When the manager refuses or does not answer; that there is none is no error.
    pub async fn workflow_def(&self, name: &str, version: Option<i32>) -> Result<Option<WorkflowDef>, ClientError> {
        let pairs: Vec<_> = version.map(|version| ("version", version.to_string())).into_iter().collect();
        optional(self.call(Method::GET, &["api", "metadata", "workflow", name], &pairs).read().await)
    }
}
