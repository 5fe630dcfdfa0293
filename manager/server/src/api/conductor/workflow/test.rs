//! Trying a workflow definition out.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use conductor_model::WorkflowDef;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::render::WorkflowView;
use super::super::tasks::Status;
use crate::api::ApiError;
use crate::api::extract::{JsonBody, parse_json};
use crate::api::state::ApiState;
use crate::app::{Caller, MockOutcome, Rehearsal};

/// Conductor's WorkflowTestRequest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TestBody {
    name: Option<String>,
    version: Option<i32>,
    workflow_def: Option<WorkflowDef>,
    input: Option<Map<String, Value>>,
    correlation_id: Option<String>,
    task_ref_to_mock_output: Option<BTreeMap<String, Vec<Mock>>>,
    sub_workflow_test_request: Option<BTreeMap<String, TestBody>>,
}

/// Conductor's TaskMock.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mock {
    status: Option<Status>,
    output: Option<Map<String, Value>>,
    execution_time: Option<u32>,
    queue_wait_time: Option<u32>,
}

impl TestBody {
    fn into_rehearsal(self) -> Rehearsal {
        let name = self.name.or_else(|| self.workflow_def.as_ref().map(|definition| definition.name.clone()));
        let outcome = |mock: Mock| MockOutcome {
            status: mock.status.unwrap_or(Status::Completed).into(),
            output: mock.output.unwrap_or_default(),
            queued_ms: mock.queue_wait_time.unwrap_or(0).into(),
            takes_ms: mock.execution_time.unwrap_or(0).into(),
        };
        let mocks = self.task_ref_to_mock_output.unwrap_or_default().into_iter();
        let children = self.sub_workflow_test_request.unwrap_or_default().into_iter();
        Rehearsal {
            name: name.unwrap_or_default(),
            version: self.version,
            definition: self.workflow_def,
            input: self.input.unwrap_or_default(),
            correlation_id: self.correlation_id,
            outcomes: mocks.map(|(reference, mocks)| (reference, mocks.into_iter().map(outcome).collect())).collect(),
            children: children.map(|(reference, child)| (reference, child.into_rehearsal())).collect(),
        }
    }
}

/// Reads a body as [`test`] does.
pub(in crate::api) fn read_test(bytes: &[u8]) -> Result<(), ApiError> {
    parse_json::<TestBody>(bytes).map(|body| drop(body.into_rehearsal()))
}

/// Tries a workflow definition out, in memory, with outcomes that are given: nothing is stored, polled or sent. Scripts are
/// evaluated; waits take no time. It goes on until it is over or needs an outcome that is not given.
#[utoipa::path(post, path = "/api/workflow/test", tag = "workflows",
    request_body(content = crate::api::bodies::WorkflowTestRequest, description = "WorkflowTestRequest: name, version, workflowDef, input, correlationId, \
        taskRefToMockOutput {reference: [{status, output, executionTime, queueWaitTime}]} (one for each attempt, the last for all that follow), \
        subWorkflowTestRequest {reference: WorkflowTestRequest}"),
    responses((status = 200, body = crate::api::shapes::Workflow, description = "Workflow with its tasks"), (status = 400, description = "Invalid, or endless"),
        (status = 404, description = "No such definition or version")))]
pub(super) async fn test(
    State(state): State<ApiState>,
    caller: Caller,
    JsonBody(body): JsonBody<TestBody>,
) -> Result<Response, ApiError> {
    let rehearsal = body.into_rehearsal();
    if rehearsal.name.is_empty() {
        return Err(ApiError::bad_request("name-missing", "name: the request does not say which workflow to test"));
    }
    let rehearsed = state.app.rehearse(&caller.tenant, &rehearsal).await?;
    let tasks: Vec<_> = rehearsed.run.tasks().cloned().collect();
    Ok(Json(WorkflowView::new(rehearsed.run.workflow(), &rehearsed.plan, Some(&tasks))).into_response())
}
