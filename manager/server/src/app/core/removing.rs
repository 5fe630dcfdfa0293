//! Deleting workflows that are over.

use conductor_engine::Refusal;
use conductor_model::{TenantName, WorkflowId};

use super::Core;
use super::message::{CommandError, Reply};

impl Core {
    /// Deletes a workflow that is over with all that belongs to it. From now on nobody can change it, and once the batch is
    /// stored nobody can read it.
    pub(super) fn remove(&mut self, tenant: &TenantName, workflow: WorkflowId, reply: Reply<()>) {
        let refused = match self.status_for(tenant, workflow) {
            Ok(status) if status.is_terminal() => None,
            Ok(status) => Some(CommandError::Refused(Refusal::WorkflowStatus { workflow, status })),
            Err(error) => Some(error),
        };
        if let Some(error) = refused {
            let _ = reply.send(Err(error));
            return;
        }
        self.runs.forget(workflow);
        self.removing.insert(workflow, self.batch_number);
        self.building.workflows_removed.push(workflow);
        self.building.reply(reply, ());
    }
}
