//! Removing what ended long ago.

use std::time::Duration;

use conductor_model::{Timestamp, WorkflowStatus};
use tokio::sync::watch;

use super::{App, AppError};
use crate::clock;

/// How often is looked for workflows whose time is over.
const LOOK_EVERY: Duration = Duration::from_secs(10 * 60);
/// Workflows that are removed before others get their turn with the deciding thread.
const AT_ONCE_MAX: usize = 100;
/// The wait between two such portions, so that a long clearing is not felt by what runs.
const BREATH: Duration = Duration::from_millis(100);

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

impl App {
    /// Removes workflows once they have been over for as long as the settings say, until `shutdown` turns true.
    pub(crate) async fn expire_workflows(self, mut shutdown: watch::Receiver<bool>) {
        loop {
            let removed = tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return,
                removed = self.remove_expired(clock::now()) => removed,
            };
            if let Err(error) = removed {
                tracing::warn!(%error, "workflows that ended long ago could not be removed; trying again later");
            }
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Removes all workflows that at a moment have been over for longer than the settings keep what ended as they did, and says
    /// how many there were.
    ///
    /// # Errors
    /// When the store fails; what was removed before that stays removed.
    pub(crate) async fn remove_expired(&self, now: Timestamp) -> Result<u64, AppError> {
        let mut count = 0;
        for status in WorkflowStatus::ALL {
            let Some(days) = self.settings().retention.days(*status) else { continue };
            let before = Timestamp(now.0.saturating_sub(i64::from(days).saturating_mul(DAY_MS)));
            let removed = self.remove_ended_before(*status, before).await?;
            if removed > 0 {
                tracing::info!(count = removed, %status, days, "workflows that ended long ago were removed");
            }
            count += removed;
        }
        Ok(count)
    }

    async fn remove_ended_before(&self, status: WorkflowStatus, before: Timestamp) -> Result<u64, AppError> {
        let mut count = 0;
        loop {
            let portion = self.read(move |store| store.workflows_ended_before(status, before, AT_ONCE_MAX)).await?;
            let mut removed = 0;
            for (tenant, workflow) in &portion {
                match self.remove_workflow(tenant, *workflow).await {
                    Ok(()) => removed += 1,
                    // Somebody removed it first, or ran it once more.
                    Err(AppError::NotFound { .. } | AppError::Conflict { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            self.inner.metrics.workflows_expired.inc_by(removed);
            count += removed;
            if portion.len() < AT_ONCE_MAX || removed == 0 {
                return Ok(count);
            }
            tokio::time::sleep(BREATH).await;
        }
    }
}
