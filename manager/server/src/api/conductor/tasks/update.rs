//! What workers report.

use axum::extract::State;
use axum::response::Response;
use conductor_engine::{WorkerStatus, WorkerUpdate};
use conductor_model::{TaskId, TenantName, Timestamp, WorkflowId};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::{load, plain};
use crate::api::ApiError;
use crate::api::extract::{JsonBody, parse_json, task_id};
use crate::api::limits::UPDATE_LOG_LINES_MAX;
use crate::api::state::ApiState;
use crate::app::Caller;
use crate::app::core::HandedOut;

/// Conductor's TaskResult.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::api::conductor) struct TaskResult {
    #[serde(default)]
    task_id: String,
    workflow_instance_id: Option<String>,
    status: Option<Status>,
    output_data: Option<Map<String, Value>>,
    reason_for_incompletion: Option<String>,
    callback_after_seconds: Option<i64>,
    worker_id: Option<String>,
    logs: Option<Vec<LogEntry>>,
    extend_lease: Option<bool>,
    external_output_payload_storage_path: Option<String>,
}

/// The statuses that a worker may report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(in crate::api::conductor) enum Status {
    InProgress,
    Completed,
    Failed,
    FailedWithTerminalError,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LogEntry {
    log: Option<String>,
    created_time: Option<f64>,
}

impl From<Status> for WorkerStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::InProgress => Self::InProgress,
            Status::Completed => Self::Completed,
            Status::Failed => Self::Failed,
            Status::FailedWithTerminalError => Self::FailedWithTerminalError,
        }
    }
}

impl Status {
    /// The status as it stands in a path.
    pub(super) fn in_path(text: &str) -> Result<Self, ApiError> {
        match text {
            "IN_PROGRESS" => Ok(Self::InProgress),
            "COMPLETED" => Ok(Self::Completed),
            "FAILED" => Ok(Self::Failed),
            "FAILED_WITH_TERMINAL_ERROR" => Ok(Self::FailedWithTerminalError),
            _ => Err(ApiError::bad_request(
                "status-invalid",
                format!(
                    "{text:?} is not a status that a worker reports; expected IN_PROGRESS, COMPLETED, FAILED or FAILED_WITH_TERMINAL_ERROR"
                ),
            )),
        }
    }
}

impl TaskResult {
    /// The same of a task that is named otherwise.
    pub(in crate::api::conductor) fn is_about(&mut self, task: TaskId, workflow: WorkflowId) {
        self.task_id = task.to_string();
        self.workflow_instance_id = Some(workflow.to_string());
    }

    fn into_update(self) -> Result<(WorkerUpdate, Vec<(Timestamp, String)>), ApiError> {
        if self.task_id.is_empty() {
            return Err(ApiError::bad_request("json-invalid", "taskId: the report does not say which task it is about"));
        }
        if let Some(path) = self.external_output_payload_storage_path.filter(|path| !path.is_empty()) {
            return Err(ApiError::bad_request(
                "external-payload-unsupported",
                format!("externalOutputPayloadStoragePath is {path:?}, but outputs are taken in the report alone"),
            )
            .hint("put large data under /resources and give its address in `outputData`"));
        }
        let extend_lease = self.extend_lease.unwrap_or(false);
        let status = match self.status {
            Some(status) => status,
            None if extend_lease => Status::InProgress,
            None => return Err(ApiError::bad_request("status-missing", "status: the report does not say how the task stands")),
        };
        let logs = self.logs.unwrap_or_default().into_iter().take(UPDATE_LOG_LINES_MAX);
        let logs = logs.filter_map(|entry| Some((log_time(entry.created_time), entry.log?))).collect();
        let update = WorkerUpdate {
            task: task_id(&self.task_id)?,
            status: status.into(),
            output: self.output_data.unwrap_or_default(),
            merge_output: false,
            reason: self.reason_for_incompletion,
            worker_id: self.worker_id,
            callback_after_seconds: self.callback_after_seconds.unwrap_or(0),
            extend_lease,
        };
        Ok((update, logs))
    }
}

/// Reads a body as [`update`] does.
pub(in crate::api) fn read_task_result(bytes: &[u8]) -> Result<(), ApiError> {
    parse_json::<TaskResult>(bytes)?.into_update().map(|_| ())
}

/// Some SDKs write seconds where others write milliseconds.
fn log_time(given: Option<f64>) -> Timestamp {
    /// Milliseconds of 1973, seconds of the year 5138.
    const SECONDS_BELOW: f64 = 1e11;
    match given.filter(|time| time.is_finite() && *time > 0.0) {
        None => crate::clock::now(),
        #[expect(clippy::cast_possible_truncation, reason = "a float that is too large becomes the largest time")]
        Some(time) => Timestamp(if time < SECONDS_BELOW { time * 1000.0 } else { time } as i64),
    }
}

/// Takes a worker's report on a task. A report on a task that is over is accepted and dropped.
#[utoipa::path(post, path = "/api/tasks", tag = "tasks",
    request_body(content = crate::api::bodies::TaskResult, description = "TaskResult: taskId, workflowInstanceId, status (IN_PROGRESS, COMPLETED, FAILED, \
        FAILED_WITH_TERMINAL_ERROR), outputData, reasonForIncompletion, callbackAfterSeconds, workerId, logs, extendLease"),
    responses((status = 200, content_type = "text/plain", body = String, description = "The task's id"),
        (status = 400, description = "Invalid"), (status = 404, description = "There is no such task"), (status = 409, description = "An agent runs it")))]
pub(super) async fn update(
    State(state): State<ApiState>,
    caller: Caller,
    JsonBody(result): JsonBody<TaskResult>,
) -> Result<Response, ApiError> {
    let id = task_id(&result.task_id)?;
    apply(&state, &caller.tenant, result, None).await?;
    Ok(plain(&id))
}

/// Takes a worker's report and hands out the next task of the same type and domain, which saves a poll.
#[utoipa::path(post, path = "/api/tasks/update-v2", tag = "tasks", request_body(content = crate::api::bodies::TaskResult, description = "TaskResult"),
    responses((status = 200, body = crate::api::shapes::Task, description = "The next Task"), (status = 204, description = "Taken; there is no next task"),
        (status = 404, description = "There is no such task")))]
pub(super) async fn update_v2(
    State(state): State<ApiState>,
    caller: Caller,
    JsonBody(result): JsonBody<TaskResult>,
) -> Result<Response, ApiError> {
    let worker = result.worker_id.clone().unwrap_or_else(|| caller.name.to_string());
    load::handed_answer(apply(&state, &caller.tenant, result, Some(worker)).await?.as_ref())
}

/// Applies a report, and takes the next task where it ended its own and somebody wants another.
pub(in crate::api::conductor) async fn apply(
    state: &ApiState,
    tenant: &TenantName,
    mut result: TaskResult,
    next_for: Option<String>,
) -> Result<Option<HandedOut>, ApiError> {
    let claimed = result.workflow_instance_id.take().filter(|id| !id.is_empty());
    let (update, logs) = result.into_update()?;
    let is_done = !update.extend_lease && update.status != WorkerStatus::InProgress;
    if !logs.is_empty() && load::task(state, tenant, update.task).await?.agent.is_none() {
        let (owner, id) = (tenant.clone(), update.task);
        state.app.read(move |store| store.append_worker_logs(&owner, id, logs)).await?;
    }
    Ok(state.app.update_and_take(tenant, update, claimed, next_for.filter(|_| is_done)).await?)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;
    use crate::api::extract::parse_json;

    fn update(body: &str) -> Result<(WorkerUpdate, Vec<(Timestamp, String)>), ApiError> {
        parse_json::<TaskResult>(body.as_bytes())?.into_update()
    }

    const TASK: &str = "09e1521b-e267-40f3-9f30-ff222a1bd37a";

    #[test]
    fn what_the_python_sdk_sends_is_understood() {
        let (update, logs) = update(&format!(
            r#"{{"workflowInstanceId":"84c2efdf-62ec-458d-b552-ed58e75ef4fe","taskId":"{TASK}","workerId":"w","status":"COMPLETED",
                "outputData":{{"greeting":"Hello"}},"logs":[{{"log":"hi","taskId":"{TASK}","createdTime":1795327179777}}],"extendLease":false}}"#
        ))
        .unwrap();
        assert_eq!(update.status, WorkerStatus::Completed);
        assert!(!update.merge_output, "POST /tasks replaces the output");
        assert_eq!(logs, [(Timestamp(1_795_327_179_777), "hi".to_owned())]);
    }

    #[test]
    fn a_lease_needs_no_status() {
        let (update, _) = update(&format!(r#"{{"taskId":"{TASK}","extendLease":true}}"#)).unwrap();
        assert!(update.extend_lease);
    }

    #[test]
    fn log_times_in_seconds_are_made_milliseconds() {
        assert_eq!(log_time(Some(1_795_327_179.0)), Timestamp(1_795_327_179_000));
        assert_eq!(log_time(Some(1_795_327_179_777.0)), Timestamp(1_795_327_179_777));
    }

    #[test]
    fn only_ten_log_lines_are_taken() {
        let lines = vec![r#"{"log":"x"}"#; 25].join(",");
        let (_, logs) = update(&format!(r#"{{"taskId":"{TASK}","status":"FAILED","logs":[{lines}]}}"#)).unwrap();
        assert_eq!(logs.len(), UPDATE_LOG_LINES_MAX);
    }

    #[test]
    fn an_output_that_lies_elsewhere_is_refused_and_not_lost() {
        let elsewhere = |path: &str| {
            update(&format!(r#"{{"taskId":"{TASK}","status":"COMPLETED","externalOutputPayloadStoragePath":{path}}}"#))
        };
        let error = elsewhere(r#""s3://bucket/x.json""#).unwrap_err();
        assert_eq!((error.status, &*error.code), (StatusCode::BAD_REQUEST, "external-payload-unsupported"));
        assert!(error.message.contains("s3://bucket/x.json") && error.message.contains("externalOutputPayloadStoragePath"));
        for nothing in ["null", r#""""#] {
            assert!(elsewhere(nothing).is_ok(), "{nothing}");
        }
    }

    #[test]
    fn wrong_reports_are_told_with_their_place() {
        for (body, says) in [
            (format!(r#"{{"taskId":"{TASK}"}}"#), "status"),
            (format!(r#"{{"taskId":"{TASK}","status":"TIMED_OUT"}}"#), "IN_PROGRESS"),
            (format!(r#"{{"taskId":"{TASK}","status":"COMPLETED","outputData":3}}"#), "outputData"),
            (r#"{"status":"COMPLETED"}"#.to_owned(), "taskId"),
        ] {
            let error = update(&body).unwrap_err();
            assert_eq!(error.status, StatusCode::BAD_REQUEST);
            assert!(error.message.contains(says), "{body}: {}", error.message);
        }
        assert_eq!(update(r#"{"taskId":"x","status":"FAILED"}"#).unwrap_err().status, StatusCode::NOT_FOUND);
    }
}
