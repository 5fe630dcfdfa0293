//! Workflows: starting, looking, steering.

use conductor_model::{WorkflowDef, WorkflowId, WorkflowStatus};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::tasks::TaskView;
use crate::{Client, ClientError};

/// What to start.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StartRequest {
    /// Name of the definition.
    pub name: String,
    /// Its version; the highest where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// Input.
    pub input: Map<String, Value>,
    /// The starter's own id for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// A second start with the same key does not start a second run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// What a second start does: `FAIL`, `RETURN_EXISTING`, `FAIL_ON_RUNNING`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_strategy: Option<String>,
    /// 0 to 99.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// A definition given in place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_def: Option<WorkflowDef>,
}

/// One run as the API shows it. Times are ms since 1970, 0 = not yet.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowView {
    /// Its id.
    pub workflow_id: WorkflowId,
    /// Name of its definition.
    #[serde(default)]
    pub workflow_name: String,
    /// Version of its definition.
    #[serde(default)]
    pub workflow_version: i32,
    /// Where it stands.
    pub status: WorkflowStatus,
    /// When it was started.
    #[serde(default)]
    pub create_time: i64,
    /// When it last changed.
    #[serde(default)]
    pub update_time: i64,
    /// When it ended.
    #[serde(default)]
    pub end_time: i64,
    /// Input.
    #[serde(default)]
    pub input: Value,
    /// Output, once it ended.
    #[serde(default)]
    pub output: Value,
    /// The starter's own id for it.
    #[serde(default)]
    pub correlation_id: Option<String>,
    /// Why it ended badly.
    #[serde(default)]
    pub reason_for_incompletion: Option<String>,
    /// Its tasks, in order of scheduling; empty unless asked for.
    #[serde(default)]
    pub tasks: Vec<TaskView>,
}

/// One run in a list. Times are texts in UTC.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowSummary {
    /// Its id.
    pub workflow_id: WorkflowId,
    /// Name of its definition.
    pub workflow_type: String,
    /// Version of its definition.
    #[serde(default)]
    pub version: i32,
    /// Where it stands.
    pub status: WorkflowStatus,
    /// When it was started.
    #[serde(default)]
    pub start_time: Option<String>,
    /// When it ended.
    #[serde(default)]
    pub end_time: Option<String>,
    /// The starter's own id for it.
    #[serde(default)]
    pub correlation_id: Option<String>,
    /// Why it ended badly.
    #[serde(default)]
    pub reason_for_incompletion: Option<String>,
}

/// Some of what a search found.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchPage {
    /// How many there are in all.
    pub total_hits: u64,
    /// Those of this page.
    pub results: Vec<WorkflowSummary>,
}

#[derive(Deserialize)]
struct StatusOnly {
    status: WorkflowStatus,
}

const PATH: [&str; 2] = ["api", "workflow"];

impl Client {
    fn workflow_call(&self, method: Method, id: &str, action: Option<&str>, pairs: &[(&str, String)]) -> crate::http::Call {
        let mut segments = PATH.to_vec();
        segments.push(id);
        segments.extend(action);
        self.call(method, &segments, pairs)
    }

    /// Starts a workflow; when this returns, the start is stored.
    ///
    /// # Errors
    /// `not-found` for an unknown definition; a conflict for a used idempotency key.
    pub async fn start(&self, request: &StartRequest) -> Result<WorkflowId, ClientError> {
        let call = self.call(Method::POST, &PATH, &[]).json(request);
        let name = call.name();
        let text = call.text().await?;
        text.parse().map_err(|_| ClientError::Answer { request: name, reason: format!("{text:?} is no workflow id") })
    }

    /// One run, with its tasks if they are asked for.
    ///
    /// # Errors
    /// When there is none.
    pub async fn workflow(&self, id: &str, tasks: bool) -> Result<WorkflowView, ClientError> {
        self.workflow_call(Method::GET, id, None, &[("includeTasks", tasks.to_string())]).read().await
    }

    /// One run as the API gives it, with its tasks if they are asked for.
    ///
    /// # Errors
    /// When there is none.
    pub async fn workflow_json(&self, id: &str, tasks: bool) -> Result<Value, ClientError> {
        self.workflow_call(Method::GET, id, None, &[("includeTasks", tasks.to_string())]).read().await
    }

    /// Where one run stands.
    ///
    /// # Errors
    /// When there is none.
    pub async fn workflow_status(&self, id: &str) -> Result<WorkflowStatus, ClientError> {
        Ok(self.workflow_call(Method::GET, id, Some("status"), &[]).read::<StatusOnly>().await?.status)
    }

    /// Runs that fit `query` (Conductor's search language; empty = all), newest first, from the `start`th.
    ///
    /// # Errors
    /// When the query cannot be read.
    pub async fn search(&self, query: &str, start: usize, size: usize) -> Result<SearchPage, ClientError> {
        let mut pairs = vec![("start", start.to_string()), ("size", size.to_string()), ("sort", "startTime:DESC".to_owned())];
        if !query.is_empty() {
            pairs.push(("query", query.to_owned()));
        }
        self.call(Method::GET, &["api", "workflow", "search"], &pairs).read().await
    }

    /// Schedules nothing new in a run.
    ///
    /// # Errors
    /// When there is none, or it is over.
    pub async fn pause(&self, id: &str) -> Result<(), ClientError> {
        self.workflow_call(Method::PUT, id, Some("pause"), &[]).done().await
    }

    /// Goes on with a paused run.
    ///
    /// # Errors
    /// When there is none, or it is not paused.
    pub async fn resume(&self, id: &str) -> Result<(), ClientError> {
        self.workflow_call(Method::PUT, id, Some("resume"), &[]).done().await
    }

    /// Ends a run.
    ///
    /// # Errors
    /// When there is none, or it is over.
    pub async fn terminate(&self, id: &str, reason: Option<&str>) -> Result<(), ClientError> {
        let pairs: Vec<_> = reason.map(|reason| ("reason", reason.to_owned())).into_iter().collect();
        self.workflow_call(Method::DELETE, id, None, &pairs).done().await
    }
}
