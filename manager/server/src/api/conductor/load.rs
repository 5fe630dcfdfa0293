//! Reading what the views need.

use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use conductor_engine::Plan;
use conductor_model::{TaskRecord, TenantName, WorkflowId, WorkflowRecord};
use rustc_hash::FxHashMap;
use serde_json::value::RawValue;

use super::render::{TaskView, WorkflowView};
use crate::api::ApiError;
use crate::api::limits::CHUNK_ROWS;
use crate::api::state::ApiState;
use crate::app::AppError;

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
        .map(|(task, (workflow, plan))| raw(&TaskView::new(task, workflow, plan)))
        .collect()
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
    let mut ids: Vec<WorkflowId> = tasks.iter().map(|task| task.workflow_id).collect();
    ids.sort_unstable();
    ids.dedup();
    let owner = tenant.clone();
    let records = state
        .app
        .read(move |store| {
            ids.into_iter().filter_map(|id| store.workflow(&owner, id).transpose()).collect::<Result<Vec<_>, _>>()
        })
        .await?;
    let mut homes = FxHashMap::default();
    for record in records {
        let plan = state.app.plan_of(&record).await?;
        homes.insert(record.id, (record, plan));
    }
    Ok(homes)
}

fn raw(view: &impl serde::Serialize) -> Result<Box<RawValue>, ApiError> {
    serde_json::value::to_raw_value(view).map_err(|error| {
        tracing::error!(%error, "a record cannot be written as JSON");
        ApiError::internal()
    })
}
