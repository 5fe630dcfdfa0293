//! Reading: straight from the store, on the blocking pool.

use std::sync::Arc;

use conductor_engine::Plan;
use conductor_model::WorkflowRecord;
use conductor_store::{Store, StoreError};

use super::{App, AppError};

impl App {
    /// Runs a read of the store, or a write that no decision is needed for, on the blocking pool.
    ///
    /// # Errors
    /// As the store says.
    pub async fn read<T, F>(&self, read: F) -> Result<T, AppError>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    {
        let store = Arc::clone(&self.inner.store);
        match tokio::task::spawn_blocking(move || read(store.as_ref())).await {
            Ok(result) => Ok(result?),
            Err(error) => Err(AppError::Internal { operation: "reading from the store", source: Box::new(error) }),
        }
    }

    /// The compiled definitions that a workflow runs by (cached).
    ///
    /// # Errors
    /// When the snapshot is missing or cannot be read.
    pub async fn plan_of(&self, workflow: &WorkflowRecord) -> Result<Arc<Plan>, AppError> {
        if let Some(plan) = self.inner.plans.by_digest(&workflow.snapshot) {
            return Ok(plan);
        }
        let digest = Arc::clone(&workflow.snapshot);
        let snapshot = self.read(move |store| store.snapshot(&digest)).await?;
        let snapshot = snapshot.ok_or_else(|| AppError::not_found("snapshot", &workflow.snapshot))?;
        let plan = Plan::of_stored(snapshot)
            .map_err(|source| AppError::Internal { operation: "reading a stored definition", source: Box::new(source) })?;
        let plan = Arc::new(plan);
        self.inner.plans.keep(&plan);
        Ok(plan)
    }
}
