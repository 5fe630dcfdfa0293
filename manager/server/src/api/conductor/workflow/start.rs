//! Starting a workflow.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::response::Response;
use conductor_model::{TenantName, WorkflowDef};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::plain;
use crate::api::ApiError;
use crate::api::extract::{JsonBody, OptionalJson, Params, parse_json};
use crate::api::state::ApiState;
use crate::app::{Caller, IdempotencyStrategy, StartCommand};

/// Conductor's StartWorkflowRequest.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartBody {
    name: Option<String>,
    version: Option<i32>,
    workflow_def: Option<WorkflowDef>,
    input: Option<Map<String, Value>>,
    correlation_id: Option<String>,
    task_to_domain: Option<BTreeMap<String, String>>,
    priority: Option<i64>,
    created_by: Option<String>,
    idempotency_key: Option<String>,
    idempotency_strategy: Option<Strategy>,
    external_input_payload_storage_path: Option<String>,
}

/// Conductor's idempotencyStrategy.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Strategy {
    Fail,
    ReturnExisting,
    FailOnRunning,
}

impl From<Strategy> for IdempotencyStrategy {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Fail => Self::Fail,
            Strategy::ReturnExisting => Self::ReturnExisting,
            Strategy::FailOnRunning => Self::FailOnRunning,
        }
    }
}

impl StartBody {
    /// The same of a definition that the path names.
    pub(super) fn of(self, name: String, version: Option<i32>) -> Self {
        Self { name: Some(name), version: version.or(self.version), ..self }
    }

    pub(super) fn into_command(self, caller: &Caller) -> Result<StartCommand, ApiError> {
        if let Some(path) = self.external_input_payload_storage_path.filter(|path| !path.is_empty()) {
            return Err(ApiError::bad_request(
                "external-payload-unsupported",
                format!("externalInputPayloadStoragePath is {path:?}, but inputs are taken in the request alone"),
            )
            .hint("put large data under /resources and pass its address in `input`"));
        }
        let name = self.name.or_else(|| self.workflow_def.as_ref().map(|definition| definition.name.clone()));
        let name = name
            .filter(|name| !name.is_empty())
            .ok_or_else(|| ApiError::bad_request("name-missing", "name: the request does not say which workflow to start"))?;
        Ok(StartCommand {
            name,
            version: self.version,
            definition: self.workflow_def,
            input: self.input.unwrap_or_default(),
            correlation_id: self.correlation_id,
            // SDKs send a strategy always, but mean it only with a key.
            idempotency_key: self.idempotency_key.filter(|key| !key.is_empty()),
            idempotency: self.idempotency_strategy.map(Into::into).unwrap_or_default(),
            priority: priority(self.priority)?,
            task_to_domain: self.task_to_domain.unwrap_or_default(),
            created_by: self.created_by.or_else(|| Some(caller.name.to_string())),
            event: None,
        })
    }
}

/// Reads a body as [`start`] does, for whom it does not matter.
pub(in crate::api) fn read_start(bytes: &[u8]) -> Result<(), ApiError> {
    let nobody = Caller { tenant: TenantName::default_tenant(), name: "".into(), agent: None, serial: None };
    parse_json::<StartBody>(bytes)?.into_command(&nobody).map(|_| ())
}

fn priority(given: Option<i64>) -> Result<u8, ApiError> {
    let given = given.unwrap_or(0);
    u8::try_from(given).ok().filter(|priority| *priority <= 99).ok_or_else(|| {
        ApiError::bad_request("priority-invalid", format!("priority is {given}; a whole number from 0 to 99 is expected"))
    })
}

/// Starts a workflow. Answers with its id once it is stored.
#[utoipa::path(post, path = "/api/workflow", tag = "workflows",
    request_body(content = crate::api::bodies::StartWorkflowRequest, description = "StartWorkflowRequest: name, version, input, correlationId, taskToDomain, \
        workflowDef, priority, createdBy, idempotencyKey, idempotencyStrategy (FAIL, RETURN_EXISTING, FAIL_ON_RUNNING)"),
    responses((status = 200, content_type = "text/plain", body = String, description = "The workflow's id"),
        (status = 400, description = "Invalid"), (status = 404, description = "No such definition or version"),
        (status = 409, description = "The idempotency key was used")))]
pub(super) async fn start(
    State(state): State<ApiState>,
    caller: Caller,
    JsonBody(body): JsonBody<StartBody>,
) -> Result<Response, ApiError> {
    let command = body.into_command(&caller)?;
    Ok(plain(&state.app.start_workflow(&caller.tenant, command).await?))
}

/// Starts a workflow; the body is its input.
#[utoipa::path(post, path = "/api/workflow/{id}", tag = "workflows",
    params(("id" = String, Path, description = "Name of the definition"), ("version" = Option<i32>, Query),
        ("correlationId" = Option<String>, Query), ("priority" = Option<i64>, Query)),
    request_body(content = Object, description = "The input; may be left out"),
    responses((status = 200, content_type = "text/plain", body = String, description = "The workflow's id"),
        (status = 404, description = "No such definition or version")))]
pub(super) async fn start_by_name(
    State(state): State<ApiState>,
    caller: Caller,
    Path(name): Path<String>,
    params: Params,
    OptionalJson(input): OptionalJson<Map<String, Value>>,
) -> Result<Response, ApiError> {
    let command = StartCommand {
        name,
        version: params.value("version")?,
        input,
        correlation_id: params.text("correlationId").map(str::to_owned),
        priority: priority(params.value("priority")?)?,
        created_by: Some(caller.name.to_string()),
        ..StartCommand::default()
    };
    Ok(plain(&state.app.start_workflow(&caller.tenant, command).await?))
}

#[cfg(test)]
mod tests {
    use conductor_model::TenantName;

    use super::*;
    use crate::api::extract::parse_json;

    fn command(body: &str) -> Result<StartCommand, ApiError> {
        let caller = Caller { tenant: TenantName::default_tenant(), name: "ops".into(), agent: None, serial: None };
        parse_json::<StartBody>(body.as_bytes())?.into_command(&caller)
    }

    #[test]
    fn what_the_python_sdk_sends_is_understood() {
        let command = command(
            r#"{"name":"traffic_wf","version":1,"correlationId":"c-1","input":{"name":"Bob"},
                "taskToDomain":{"agreet":"blue"},"idempotencyStrategy":"FAIL"}"#,
        )
        .unwrap();
        assert_eq!((command.name.as_str(), command.version), ("traffic_wf", Some(1)));
        assert_eq!(command.idempotency_key, None, "a strategy without a key means nothing");
        assert_eq!(command.task_to_domain["agreet"], "blue");
        assert_eq!(command.created_by.as_deref(), Some("ops"));
    }

    #[test]
    fn a_missing_input_is_an_empty_one() {
        assert_eq!(command(r#"{"name":"w"}"#).unwrap().input, Map::new());
        assert_eq!(command(r#"{"name":"w","input":null,"priority":null}"#).unwrap().priority, 0);
    }

    #[test]
    fn wrong_values_are_told_with_their_place() {
        for (body, code, says) in [
            (r#"{"input":{}}"#, "name-missing", "name"),
            (r#"{"name":"w","priority":100}"#, "priority-invalid", "0 to 99"),
            (r#"{"name":"w","input":[1]}"#, "json-invalid", "input"),
            (r#"{"name":"w","version":"one"}"#, "json-invalid", "version"),
            (r#"{"name":"w","idempotencyStrategy":"MAYBE"}"#, "json-invalid", "RETURN_EXISTING"),
            (r#"{"name":"w","externalInputPayloadStoragePath":"s3://x"}"#, "external-payload-unsupported", "s3://x"),
        ] {
            let error = command(body).unwrap_err();
            assert_eq!(error.code, code, "{body}");
            assert!(error.message.contains(says), "{body}: {}", error.message);
        }
    }
}
