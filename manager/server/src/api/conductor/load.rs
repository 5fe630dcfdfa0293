//! Reading what the views need.

use std::sync::Arc;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use conductor_engine::Plan;
use conductor_model::{TaskRecord, TenantName, WorkflowId, WorkflowRecord};
use rustc_hash::FxHashMap;
use serde_json::value::RawValue;

use super::render::{Home, TaskView, WorkflowView};
use super::summary::TaskSummary;
use crate::api::ApiError;
use crate::api::limits::CHUNK_ROWS;
use crate::api::state::ApiState;
use crate::app::AppError;
use crate::app::core::HandedOut;

/// Room for a task that is handed out, in bytes: most fit, so that nothing is moved while they are written.
const HANDED_BYTES: usize = 2048;

/// A workflow's record, or 404.
pub(super) async fn workflow(state: &ApiState, tenant: &TenantName, id: WorkflowId) -> Result<WorkflowRecord, ApiError> {
    let owner = tenant.clone();
    let found = state.app.read(move |store| store.workflow(&owner, id)).await?;
    found.ok_or_else(|| ApiError::not_found("workflow", id))
}

/// A task's record, or 404.
pub(super) async fn task(state: &ApiState, tenant: &TenantName, id: conductor_model::TaskId) -> Result<TaskRecord, ApiError> {
    let owner = tenant.clone();
    let found = state.app.read(move |store| store.task(&owner, id)).await?;
    found.ok_or_else(|| ApiError::not_found("task", id))
}

/// All tasks of a workflow, in order.
pub(super) async fn tasks(state: &ApiState, tenant: &TenantName, id: WorkflowId) -> Result<Vec<TaskRecord>, AppError> {
    let owner = tenant.clone();
    state
        .app
        .read(move |store| {
            let mut all = Vec::new();
            loop {
                let after = all.last().map_or(0, |task: &TaskRecord| task.seq);
                let chunk = store.workflow_tasks(&owner, id, after, CHUNK_ROWS)?;
                let is_last = chunk.len() < CHUNK_ROWS;
                all.extend(chunk);
                if is_last {
                    return Ok(all);
                }
            }
        })
        .await
}

/// The answer that shows one workflow.
pub(super) async fn workflow_answer(
    state: &ApiState,
    tenant: &TenantName,
    id: WorkflowId,
    with_tasks: bool,
) -> Result<Response, ApiError> {
    let record = workflow(state, tenant, id).await?;
    Ok(Json(workflow_json(state, &record, with_tasks).await?).into_response())
}

/// One workflow as JSON.
pub(super) async fn workflow_json(
    state: &ApiState,
    record: &WorkflowRecord,
    with_tasks: bool,
) -> Result<Box<RawValue>, ApiError> {
    let plan = state.app.plan_of(record).await?;
    let tasks = if with_tasks { Some(tasks(state, &record.tenant, record.id).await?) } else { None };
    raw(&WorkflowView::new(record, &plan, tasks.as_deref()))
}

/// Workflows as JSON, in their order, without their tasks.
pub(super) async fn workflows_json(state: &ApiState, records: &[WorkflowRecord]) -> Result<Vec<Box<RawValue>>, ApiError> {
    let mut shown = Vec::with_capacity(records.len());
    for record in records {
        shown.push(workflow_json(state, record, false).await?);
    }
    Ok(shown)
}

/// Tasks of any workflows as summaries, in their order.
pub(super) async fn task_summaries(
    state: &ApiState,
    tenant: &TenantName,
    tasks: &[TaskRecord],
) -> Result<Vec<Box<RawValue>>, ApiError> {
    let workflows = workflows_of(state, tenant, tasks).await?;
    tasks.iter().map(|task| raw(&TaskSummary::new(task, workflows.get(&task.workflow_id)))).collect()
}

/// Tasks of any workflows as JSON, in their order.
pub(super) async fn tasks_json(
    state: &ApiState,
    tenant: &TenantName,
    tasks: &[TaskRecord],
) -> Result<Vec<Box<RawValue>>, ApiError> {
    let homes = homes(state, tenant, tasks).await?;
    tasks
        .iter()
        .filter_map(|task| Some((task, homes.get(&task.workflow_id)?)))
        .map(|(task, (workflow, plan))| raw(&TaskView::new(task, Home::of(workflow, plan))))
        .collect()
}

/// The answer that hands tasks to a worker. Nothing is read for it.
pub(super) fn handed_list(handed: &[HandedOut]) -> Result<Response, ApiError> {
    let views: Vec<_> = handed.iter().map(handed_view).collect();
    answer(&views, HANDED_BYTES * handed.len())
}

/// The answer that hands one task to a worker; 204 when there is none. Nothing is read for it.
pub(super) fn handed_answer(handed: Option<&HandedOut>) -> Result<Response, ApiError> {
    match handed {
        Some(task) => answer(&handed_view(task), HANDED_BYTES),
        None => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}

fn handed_view(handed: &HandedOut) -> TaskView<'_> {
    let home = Home { name: &handed.workflow_name, correlation_id: handed.correlation_id.as_deref(), plan: &handed.plan };
    TaskView::new(&handed.task, home).with_runtime_metadata(&handed.runtime_metadata)
}

/// An answer in JSON, written once into room for `bytes` at first.
fn answer(shown: &impl serde::Serialize, bytes: usize) -> Result<Response, ApiError> {
    let mut body = Vec::with_capacity(bytes);
    serde_json::to_writer(&mut body, shown).map_err(|error| unwritable(&error))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// The answer that shows one task.
pub(super) async fn task_answer(state: &ApiState, tenant: &TenantName, task: TaskRecord) -> Result<Response, ApiError> {
    let id = task.id;
    let mut shown = tasks_json(state, tenant, std::slice::from_ref(&task)).await?;
    shown.pop().map(|task| Json(task).into_response()).ok_or_else(|| ApiError::not_found("task", id))
}

/// The workflows that tasks belong to, with the definitions they run by.
async fn homes(
    state: &ApiState,
    tenant: &TenantName,
    tasks: &[TaskRecord],
) -> Result<FxHashMap<WorkflowId, (WorkflowRecord, Arc<Plan>)>, ApiError> {
    let mut homes = FxHashMap::default();
    for (id, record) in workflows_of(state, tenant, tasks).await? {
        let plan = state.app.plan_of(&record).await?;
        homes.insert(id, (record, plan));
    }
    Ok(homes)
}

/// The workflows that tasks belong to.
async fn workflows_of(
    state: &ApiState,
    tenant: &TenantName,
    tasks: &[TaskRecord],
) -> Result<FxHashMap<WorkflowId, WorkflowRecord>, ApiError> {
    let mut ids: Vec<WorkflowId> = tasks.iter().map(|task| task.workflow_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let owner = tenant.clone();
    let read = state.app.read(move |store| {
        let found = ids.into_iter().filter_map(|id| store.workflow(&owner, id).transpose());
        found.map(|record| record.map(|record| (record.id, record))).collect()
    });
    Ok(read.await?)
}

fn raw(view: &impl serde::Serialize) -> Result<Box<RawValue>, ApiError> {
    serde_json::value::to_raw_value(view).map_err(|error| unwritable(&error))
}

fn unwritable(error: &serde_json::Error) -> ApiError {
    tracing::error!(%error, "a record cannot be written as JSON");
    ApiError::internal()
}
