//! Task and workflow definitions: checked as a whole before anything is stored.

use conductor_model::{TaskDef, TenantName, WorkflowDef};

use super::{App, AppError};

impl App {
    /// Stores task definitions, new or again; all or none.
    ///
    /// # Errors
    /// `definition-invalid` with every fault (paths begin with `[i].`).
    pub async fn put_task_defs(&self, tenant: &TenantName, definitions: Vec<TaskDef>, by: &str) -> Result<(), AppError> {
        let _ = (tenant, definitions, by);
        unreachable!("filled in by the deciding thread")
    }

    /// Stores workflow definitions; all or none.
    ///
    /// # Errors
    /// `definition-invalid` with every fault; `exists` without `overwrite`.
    pub async fn put_workflow_defs(
        &self,
        tenant: &TenantName,
        definitions: Vec<WorkflowDef>,
        overwrite: bool,
        by: &str,
    ) -> Result<(), AppError> {
        let _ = (tenant, definitions, overwrite, by);
        unreachable!("filled in by the deciding thread")
    }

    /// Checks a workflow definition without storing it.
    ///
    /// # Errors
    /// `definition-invalid` with every fault.
    pub async fn validate_workflow_def(&self, tenant: &TenantName, definition: WorkflowDef) -> Result<(), AppError> {
        let _ = (tenant, definition);
        unreachable!("filled in by the deciding thread")
    }
}
