//! `/api/v1/definitions`: what became of definitions, and locks on them.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use conductor_model::Timestamp;
use conductor_store::{DefinitionKind, Revision};
use serde::Serialize;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::List;
use crate::api::ApiError;
use crate::api::extract::Params;
use crate::api::state::ApiState;
use crate::app::{Caller, Change, DefinitionState, Lock, LockNote};
use crate::clock;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(revisions))
        .routes(routes!(revision))
        .routes(routes!(diff))
        .routes(routes!(lock, unlock))
        .routes(routes!(locks))
}

/// One accepted change.
#[derive(Debug, Serialize)]
struct RevisionView {
    number: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i32>,
    at: Timestamp,
    by: String,
    deleted: bool,
}

impl From<Revision> for RevisionView {
    fn from(revision: Revision) -> Self {
        let Revision { number, version, at, by, deleted } = revision;
        Self { number, version, at, by, deleted }
    }
}

/// One accepted change, with what was stored.
#[derive(Debug, Serialize)]
struct WholeRevision {
    #[serde(flatten)]
    revision: RevisionView,
    #[serde(skip_serializing_if = "Value::is_null")]
    definition: Value,
}

/// How two states of a definition differ.
#[derive(Debug, Serialize)]
struct Difference {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    to: String,
    changes: Vec<Change>,
}

/// A lock.
#[derive(Debug, Serialize)]
struct LockView {
    kind: DefinitionKind,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i32>,
    #[serde(flatten)]
    note: LockNote,
}

impl From<Lock> for LockView {
    fn from(lock: Lock) -> Self {
        let Lock { kind, name, version, note } = lock;
        Self { kind, name, version, note }
    }
}

/// What was stored and removed under a name, in all versions, the newest first. The last 100 changes are kept, those of a
/// definition that was removed too. What was stored again as it stood there is no change.
#[utoipa::path(get, path = "/api/v1/definitions/{kind}/{name}/revisions", tag = "definitions",
    params(("kind" = inline(crate::api::shapes::DefinitionKind), Path), ("name" = String, Path)),
    responses((status = 200, body = crate::api::shapes::Items<crate::api::shapes::Revision>, description = "{items: [{number, version, at, by, deleted}], metadata}"),
        (status = 404, description = "Nothing was ever stored under this name")))]
async fn revisions(
    State(state): State<ApiState>,
    caller: Caller,
    Path((kind, name)): Path<(String, String)>,
) -> Result<Json<List<RevisionView>>, ApiError> {
    let found = state.app.revisions(&caller.tenant, kind_in_path(&kind)?, &name).await?;
    Ok(Json(List::whole(found.into_iter().map(RevisionView::from).collect())))
}

/// One revision, with the definition as it was stored; without it where the definition was removed.
#[utoipa::path(get, path = "/api/v1/definitions/{kind}/{name}/revisions/{number}", tag = "definitions",
    params(("kind" = inline(crate::api::shapes::DefinitionKind), Path), ("name" = String, Path), ("number" = u32, Path)),
    responses((status = 200, body = crate::api::shapes::WholeRevision), (status = 400, description = "The number is none"),
        (status = 404, description = "There is none, or it is older than what is kept")))]
async fn revision(
    State(state): State<ApiState>,
    caller: Caller,
    Path((kind, name, number)): Path<(String, String, String)>,
) -> Result<Json<WholeRevision>, ApiError> {
    let kind = kind_in_path(&kind)?;
    let number: u32 = number
        .parse()
        .map_err(|_| ApiError::bad_request("revision-invalid", format!("revision {number:?} is not a number")))?;
    let (revision, definition) = state.app.revision(&caller.tenant, kind, &name, number).await?;
    Ok(Json(WholeRevision { revision: revision.into(), definition }))
}

/// How two states of the definitions of a name differ, as a JSON Patch (RFC 6902) whose operations also tell what was there
/// before. A state is a revision, as in `3`, or a version of a workflow definition as it stands now, as in `v2`. Who stored a
/// definition and when is no part of it.
#[utoipa::path(get, path = "/api/v1/definitions/{kind}/{name}/diff", tag = "definitions",
    params(("kind" = inline(crate::api::shapes::DefinitionKind), Path), ("name" = String, Path),
        ("from" = Option<String>, Query, description = "Unless given: the revision before `to`, of the same version where there is one"),
        ("to" = Option<String>, Query, description = "The newest revision unless given")),
    responses((status = 200, body = crate::api::shapes::Difference, description = "{from, to, changes: [{op, path, value, before}]}; no `from` = there was nothing before"),
        (status = 400, description = "A state is written wrong, or `to` is a version and there is no `from`"),
        (status = 404, description = "There is no such state")))]
async fn diff(
    State(state): State<ApiState>,
    caller: Caller,
    Path((kind, name)): Path<(String, String)>,
    params: Params,
) -> Result<Json<Difference>, ApiError> {
    let kind = kind_in_path(&kind)?;
    let (from, to) = (params.value::<DefinitionState>("from")?, params.value::<DefinitionState>("to")?);
    let found = state.app.difference(&caller.tenant, kind, &name, from, to).await?;
    Ok(Json(Difference { from: found.from.map(|from| from.to_string()), to: found.to.to_string(), changes: found.changes }))
}

/// Locks a definition: it is neither overwritten by something else nor removed until it is unlocked. New versions of a workflow
/// may be stored. One that is locked already stays locked by whom it was.
#[utoipa::path(put, path = "/api/v1/definitions/{kind}/{name}/lock", tag = "definitions",
    params(("kind" = inline(crate::api::shapes::DefinitionKind), Path), ("name" = String, Path),
        ("version" = Option<i32>, Query, description = "Of a workflow definition; the highest unless given"),
        ("reason" = Option<String>, Query, description = "For people; at most 500 characters")),
    responses((status = 200, body = crate::api::shapes::DefinitionLock, description = "The lock that there is now"),
        (status = 400, description = "A parameter is wrong"), (status = 404, description = "There is no such definition")))]
async fn lock(
    State(state): State<ApiState>,
    caller: Caller,
    Path((kind, name)): Path<(String, String)>,
    params: Params,
) -> Result<Json<LockView>, ApiError> {
    let kind = kind_in_path(&kind)?;
    let version = params.value::<i32>("version")?;
    let note = LockNote { by: caller.name.to_string(), at: clock::now(), reason: params.text("reason").map(str::to_owned) };
    Ok(Json(state.app.lock_definition(&caller.tenant, kind, &name, version, note).await?.into()))
}

/// Takes the lock off a definition.
#[utoipa::path(delete, path = "/api/v1/definitions/{kind}/{name}/lock", tag = "definitions",
    params(("kind" = inline(crate::api::shapes::DefinitionKind), Path), ("name" = String, Path),
        ("version" = Option<i32>, Query, description = "Of a workflow definition; the highest unless given")),
    responses((status = 204, description = "Unlocked"), (status = 400, description = "A parameter is wrong"),
        (status = 404, description = "There is no such definition, or it is not locked")))]
async fn unlock(
    State(state): State<ApiState>,
    caller: Caller,
    Path((kind, name)): Path<(String, String)>,
    params: Params,
) -> Result<StatusCode, ApiError> {
    let kind = kind_in_path(&kind)?;
    state.app.unlock_definition(&caller.tenant, kind, &name, params.value::<i32>("version")?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All definitions that are locked.
#[utoipa::path(get, path = "/api/v1/definitions/locks", tag = "definitions",
    responses((status = 200, body = crate::api::shapes::Items<crate::api::shapes::DefinitionLock>, description = "{items: [{kind, name, version, by, at, reason}], metadata}")))]
async fn locks(State(state): State<ApiState>, caller: Caller) -> Result<Json<List<LockView>>, ApiError> {
    let found = state.app.definition_locks(&caller.tenant).await?;
    Ok(Json(List::whole(found.into_iter().map(LockView::from).collect())))
}

fn kind_in_path(text: &str) -> Result<DefinitionKind, ApiError> {
    match text {
        "task" => Ok(DefinitionKind::Task),
        "workflow" => Ok(DefinitionKind::Workflow),
        _ => Err(ApiError::not_found("kind of definitions, task or workflow", text)),
    }
}
