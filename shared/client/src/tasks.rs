//! Tasks: looking, polling, updating.

use conductor_model::{TaskId, TaskStatus, WorkflowId};
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Client, ClientError};

/// One attempt at one step as the API shows it. Times are ms since 1970, 0 = not yet.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskView {
    /// Its id.
    pub task_id: TaskId,
    /// The workflow it belongs to.
    pub workflow_instance_id: WorkflowId,
    /// The step's reference name.
    #[serde(default)]
    pub reference_task_name: String,
    /// Name of its task definition, or its kind.
    #[serde(default)]
    pub task_type: String,
    /// Name of its task definition.
    #[serde(default)]
    pub task_def_name: String,
    /// Where it stands.
    pub status: TaskStatus,
    /// Order of scheduling in its workflow.
    #[serde(default)]
    pub seq: u32,
    /// Attempts made before.
    #[serde(default)]
    pub retry_count: u32,
    /// When it was scheduled.
    #[serde(default)]
    pub scheduled_time: i64,
    /// When a worker or agent started it.
    #[serde(default)]
    pub start_time: i64,
    /// When it ended.
    #[serde(default)]
    pub end_time: i64,
    /// The worker or agent that has it.
    #[serde(default)]
    pub worker_id: Option<String>,
    /// Its input.
    #[serde(default)]
    pub input_data: Value,
    /// What it reported.
    #[serde(default)]
    pub output_data: Value,
    /// Why it failed.
    #[serde(default)]
    pub reason_for_incompletion: Option<String>,
}

/// What a worker says of a task that it polled.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskUpdate {
    /// The workflow.
    pub workflow_instance_id: WorkflowId,
    /// The task.
    pub task_id: TaskId,
    /// `IN_PROGRESS`, `COMPLETED`, `FAILED` or `FAILED_WITH_TERMINAL_ERROR`.
    pub status: TaskStatus,
    /// The output, whole.
    pub output_data: Map<String, Value>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_for_incompletion: Option<String>,
    /// With `IN_PROGRESS`: seconds to be left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback_after_seconds: Option<i64>,
    /// Who says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
}

impl TaskUpdate {
    /// The task went well and has this output.
    #[must_use]
    pub fn completed(task: &TaskView, output: Map<String, Value>) -> Self {
        Self {
            workflow_instance_id: task.workflow_instance_id,
            task_id: task.task_id,
            status: TaskStatus::Completed,
            output_data: output,
            reason_for_incompletion: None,
            callback_after_seconds: None,
            worker_id: task.worker_id.clone(),
        }
    }
}

impl Client {
    /// One task.
    ///
    /// # Errors
    /// When there is none.
    pub async fn task(&self, id: &str) -> Result<TaskView, ClientError> {
        self.call(Method::GET, &["api", "tasks", id], &[]).read().await
    }

    /// One task as the API gives it.
    ///
    /// # Errors
    /// When there is none.
    pub async fn task_json(&self, id: &str) -> Result<Value, ClientError> {
        self.call(Method::GET, &["api", "tasks", id], &[]).read().await
    }

    /// Takes up to `count` tasks of a type, waiting up to `wait_ms` (at most 5000) for the first.
    ///
    /// # Errors
    /// When the manager refuses or does not answer.
    pub async fn poll(&self, task_type: &str, worker: &str, count: usize, wait_ms: u64) -> Result<Vec<TaskView>, ClientError> {
        let pairs = [("workerid", worker.to_owned()), ("count", count.to_string()), ("timeout", wait_ms.to_string())];
        let call = self.call(Method::GET, &["api", "tasks", "poll", "batch", task_type], &pairs);
        Ok(call.read::<Option<Vec<TaskView>>>().await?.unwrap_or_default())
    }

    /// Reports on a polled task.
    ///
    /// # Errors
    /// When there is no such task.
    pub async fn update_task(&self, update: &TaskUpdate) -> Result<(), ClientError> {
        self.call(Method::POST, &["api", "tasks"], &[]).json(update).done().await
    }

    /// Reports on a polled task and takes the next of its type, where there is one.
    ///
    /// # Errors
    /// When there is no such task.
    pub async fn update_task_and_poll(&self, update: &TaskUpdate) -> Result<Option<TaskView>, ClientError> {
        self.call(Method::POST, &["api", "tasks", "update-v2"], &[]).json(update).read().await
    }

    /// Where a task runs, its runners-up, or why it has no agent yet.
    ///
    /// # Errors
    /// When there is no such task.
    pub async fn placement(&self, id: &str) -> Result<Value, ClientError> {
        self.call(Method::GET, &["api", "v1", "tasks", id, "placement"], &[]).read().await
    }
}
