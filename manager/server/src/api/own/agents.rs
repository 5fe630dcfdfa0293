//! `/api/v1/agents`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use conductor_model::{AgentId, AgentRecord, TaskId};
use conductor_wire::agent_api::{AgentHello, AgentWelcome};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::List;
use crate::api::ApiError;
use crate::api::extract::{JsonBody, Params, name_in_path, task_id};
use crate::api::state::ApiState;
use crate::app::{AgentView, Caller};

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(get, register, remove))
        .routes(routes!(input))
        .routes(routes!(output))
}

/// An agent as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    record: AgentRecord,
    /// Tasks that it was given and that are not over.
    tasks: Vec<TaskId>,
    free_slots: u32,
}

impl From<AgentView> for Shown {
    fn from(view: AgentView) -> Self {
        let taken = u32::try_from(view.tasks.len()).unwrap_or(u32::MAX);
        Self { free_slots: view.record.slots.saturating_sub(taken), record: view.record, tasks: view.tasks }
    }
}

/// All agents, by id.
#[utoipa::path(get, path = "/api/v1/agents", tag = "agents",
    responses((status = 200, body = crate::api::shapes::Items<crate::api::shapes::Agent>, description = "{items: [{id, name, state, labels, facts, slots, free_slots, tasks, version, last_seen_at, …}], metadata}")))]
async fn list(State(state): State<ApiState>, caller: Caller) -> Result<Json<List<Shown>>, ApiError> {
    let agents = state.app.agents(&caller.tenant).await?;
    Ok(Json(List::whole(agents.into_iter().map(Shown::from).collect())))
}

/// One agent.
#[utoipa::path(get, path = "/api/v1/agents/{id}", tag = "agents", params(("id" = String, Path)),
    responses((status = 200, body = crate::api::shapes::Agent), (status = 404, description = "There is none")))]
async fn get(State(state): State<ApiState>, caller: Caller, Path(id): Path<String>) -> Result<Json<Shown>, ApiError> {
    let agents = state.app.agents(&caller.tenant).await?;
    let found = agents.into_iter().find(|agent| agent.record.id.as_str() == id);
    found.map(|agent| Json(agent.into())).ok_or_else(|| ApiError::not_found("agent", id))
}

/// An agent introduces itself, at start and whenever its labels, facts or slots changed.
#[utoipa::path(put, path = "/api/v1/agents/{id}", tag = "agents", params(("id" = String, Path)),
    request_body(content = crate::api::bodies::AgentRegistration, description = "{name, labels, facts, slots, version, protocol, incarnation}"),
    responses((status = 200, body = crate::api::shapes::AgentWelcome, description = "{id, amqp_url, queue, lease_interval_ms, lease_ms, manager_time_ms, prefetch}"),
        (status = 400, description = "Invalid"), (status = 409, description = "Its protocol is not spoken, or the id is another tenant's"),
        (status = 503, description = "The broker cannot be reached")))]
async fn register(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    JsonBody(hello): JsonBody<AgentHello>,
) -> Result<Json<AgentWelcome>, ApiError> {
    let id: AgentId = name_in_path(&id)?;
    Ok(Json(state.app.register_agent(&caller.tenant, id, hello).await?))
}

/// Forgets an agent that is not to come back. It is refused while the agent has tasks.
#[utoipa::path(delete, path = "/api/v1/agents/{id}", tag = "agents",
    params(("id" = String, Path), ("force" = Option<bool>, Query, description = "Also while it has tasks: they are lost")),
    responses((status = 204, description = "Forgotten"), (status = 404, description = "There is none"),
        (status = 409, description = "It has tasks")))]
async fn remove(
    State(state): State<ApiState>,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<StatusCode, ApiError> {
    // `?force` alone is meant as a yes.
    let force = params.is_given("force") && params.flag("force", true)?;
    state.app.remove_agent(&caller.tenant, name_in_path(&id)?, force).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The input of a task that is too large for a message, or holds secrets. With `secrets=true` an object with `input`, and with
/// `secrets`: values in it that must not leave the host again.
#[utoipa::path(get, path = "/api/v1/agents/{id}/tasks/{task}/input", tag = "agents",
    params(("id" = String, Path), ("task" = String, Path), ("secrets" = Option<bool>, Query)),
    responses((status = 200, body = Object), (status = 404, description = "The agent has no such task")))]
async fn input(
    State(state): State<ApiState>,
    caller: Caller,
    Path((id, task)): Path<(String, String)>,
    params: Params,
) -> Result<Json<Value>, ApiError> {
    let id: AgentId = name_in_path(&id)?;
    let with_secrets = params.flag("secrets", false)?;
    let handed = state.app.task_input_for_agent(&caller.tenant, &id, task_id(&task)?).await?;
    let input = Value::clone(&handed.input);
    Ok(Json(if with_secrets { json!({ "input": input, "secrets": handed.secrets }) } else { input }))
}

/// Keeps an output that is too large for a message; the agent's report names it afterwards.
#[utoipa::path(put, path = "/api/v1/agents/{id}/tasks/{task}/output", tag = "agents",
    params(("id" = String, Path), ("task" = String, Path)), request_body(content = Object, description = "The output"),
    responses((status = 204, description = "Kept"), (status = 404, description = "The agent has no such task"), (status = 413, description = "Too large")))]
async fn output(
    State(state): State<ApiState>,
    caller: Caller,
    Path((id, task)): Path<(String, String)>,
    JsonBody(output): JsonBody<Map<String, Value>>,
) -> Result<StatusCode, ApiError> {
    let id: AgentId = name_in_path(&id)?;
    state.app.put_task_output(&caller.tenant, &id, task_id(&task)?, output).await?;
    Ok(StatusCode::NO_CONTENT)
}
