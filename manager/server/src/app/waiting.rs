//! Waiting for a workflow to come to a point, told by the feed and not by asking again and again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use conductor_engine::waits_for_somebody;
use conductor_model::{FeedEntry, TaskRecord, TaskStatus, TenantName, WorkflowId, WorkflowRecord};
use conductor_store::{Page, Store, StoreError, TaskFilter};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::{App, AppError};

/// Sub-workflows that are looked into at most while one waits for a workflow.
const WORKFLOWS_WATCHED_MAX: usize = 256;
/// Open tasks of one workflow that are looked at at most.
const OPEN_TASKS_MAX: usize = 1_000;

/// How a workflow stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The workflow.
    pub target: WorkflowRecord,
    /// The task that waits for somebody, and its workflow: the target or one below it.
    pub blocking: Option<(WorkflowRecord, TaskRecord)>,
    /// Whether the point that was waited for is reached.
    pub reached: bool,
    /// The workflows that were looked at.
    watched: HashSet<WorkflowId>,
}

impl App {
    /// How a workflow stands: over, at a task that waits for somebody, or behind one of the steps named.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn standing(&self, tenant: &TenantName, id: WorkflowId, references: Arc<[String]>) -> Result<Standing, AppError> {
        let owner = tenant.clone();
        let found = self.read(move |store| look(store, &owner, id, &references)).await?;
        found.ok_or_else(|| AppError::not_found("workflow", id))
    }

    /// Waits until a workflow is over, waits for somebody, or has one of the steps behind it, but no longer than `wait`.
    /// `feed` is subscribed to before whatever may bring it there.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn wait_for(
        &self,
        tenant: &TenantName,
        id: WorkflowId,
        references: Arc<[String]>,
        mut feed: Receiver<Arc<FeedEntry>>,
        wait: Duration,
    ) -> Result<Standing, AppError> {
        let until = Instant::now() + wait;
        loop {
            let standing = self.standing(tenant, id, Arc::clone(&references)).await?;
            if standing.reached || !news(&mut feed, &standing.watched, until).await {
                return Ok(standing);
            }
        }
    }
}

/// Waits for news of one of these workflows; false = the time is over.
async fn news(feed: &mut Receiver<Arc<FeedEntry>>, watched: &HashSet<WorkflowId>, until: Instant) -> bool {
    loop {
        match tokio::time::timeout_at(until, feed.recv()).await {
            Err(_) | Ok(Err(RecvError::Closed)) => return false,
            // What was missed may have been news.
            Ok(Err(RecvError::Lagged(_))) => break,
            Ok(Ok(entry)) if entry.workflow_id.is_some_and(|id| watched.contains(&id)) => break,
            Ok(Ok(_)) => {}
        }
    }
    // One look for all that is known by now.
    while feed.try_recv().is_ok() {}
    true
}

fn look(store: &dyn Store, tenant: &TenantName, id: WorkflowId, references: &[String]) -> Result<Option<Standing>, StoreError> {
    let Some(target) = store.workflow(tenant, id)? else { return Ok(None) };
    let mut standing = Standing { reached: target.status.is_terminal(), target, blocking: None, watched: HashSet::from([id]) };
    if standing.reached {
        return Ok(Some(standing));
    }
    if !references.is_empty() {
        standing.reached = has_passed(store, tenant, id, references)?;
    }
    let mut ahead = vec![standing.target.clone()];
    while let Some(workflow) = ahead.pop() {
        let statuses = vec![TaskStatus::Scheduled, TaskStatus::InProgress];
        let filter = TaskFilter { workflow: Some(workflow.id), statuses, ..TaskFilter::default() };
        let page = Page { before: None, offset: 0, limit: OPEN_TASKS_MAX };
        for task in store.tasks(tenant, &filter, page)? {
            if waits_for_somebody(&task) {
                standing.reached = true;
                standing.blocking = Some((workflow, task));
                return Ok(Some(standing));
            }
            if let Some(child) = task.sub_workflow_id
                && standing.watched.len() < WORKFLOWS_WATCHED_MAX
                && standing.watched.insert(child)
            {
                ahead.extend(store.workflow(tenant, child)?);
            }
        }
    }
    Ok(Some(standing))
}

/// Whether one of the steps is over.
fn has_passed(store: &dyn Store, tenant: &TenantName, id: WorkflowId, references: &[String]) -> Result<bool, StoreError> {
    let mut after = 0;
    loop {
        let tasks = store.workflow_tasks(tenant, id, after, OPEN_TASKS_MAX)?;
        let Some(last) = tasks.last() else { return Ok(false) };
        after = last.seq;
        if tasks.iter().any(|task| task.status.is_terminal() && references.iter().any(|wanted| **wanted == *task.reference)) {
            return Ok(true);
        }
    }
}
