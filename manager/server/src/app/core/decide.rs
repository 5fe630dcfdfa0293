//! Feeding an event to a workflow.

use std::sync::Arc;

use conductor_engine::{Catalogue, Context, Event, LocalTime, Refusal};
use conductor_model::{SchemaDef, TaskDef, TenantName, Timestamp, WorkflowId};
use conductor_store::{Store, StoreError};
use serde_json::Value;

use super::Core;
use super::polling::Polling;
use crate::app::catalogue::Stored;

impl Core {
    /// Feeds an event to a workflow, applies what was decided to the indices and notes what is to be stored.
    pub(super) fn decide(&mut self, workflow: WorkflowId, event: Event) -> Result<(), DecideError> {
        let Some(run) = self.runs.get(workflow, self.store.as_ref(), self.batch_number)? else {
            return Err(DecideError::UnknownWorkflow);
        };
        let stored_revision = run.workflow().revision;
        let runs_by = Arc::clone(&run.workflow().snapshot);
        let tenant = run.workflow().tenant.clone();
        let catalogue = AsItIsNow { store: self.store.as_ref(), polling: &self.polling, tenant, now: self.now };
        let mut context = Context { now: self.now, jitter: self.world.chance(), ids: self.world.ids(), catalogue: &catalogue };
        let decision = run.decide(event, &mut context).map_err(DecideError::Refused)?;
        self.metrics.decisions.inc();
        let snapshot = (run.workflow().snapshot != runs_by).then(|| Arc::clone(run.plan().snapshot()));
        let tenant = catalogue.tenant;
        self.apply(workflow, &tenant, Some(stored_revision), snapshot, decision);
        self.follow_up();
        Ok(())
    }
}

/// What the engine may ask of the world beside: task definitions as they are stored, and who polls.
pub(super) struct AsItIsNow<'s> {
    pub(super) store: &'s dyn Store,
    pub(super) polling: &'s Polling,
    pub(super) tenant: TenantName,
    pub(super) now: Timestamp,
}

impl AsItIsNow<'_> {
    fn stored(&self) -> Stored<'_> {
        Stored { store: self.store, tenant: &self.tenant }
    }
}

impl Catalogue for AsItIsNow<'_> {
    fn is_polled(&self, definition_name: &str, domain: Option<&str>) -> bool {
        self.polling.is_active(&self.tenant, definition_name, domain, self.now)
    }

    fn moment_in_zone(&self, zone: &str, local: LocalTime) -> Option<Timestamp> {
        self.stored().moment_in_zone(zone, local)
    }

    fn schema_fault(&self, schema: &SchemaDef, what: &'static str, value: &Value) -> Option<String> {
        self.stored().schema_fault(schema, what, value)
    }

    fn task_definition(&self, name: &str) -> Option<Arc<TaskDef>> {
        self.stored().task_definition(name)
    }
}

/// Why an event changed nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecideError {
    #[error("there is no such workflow")]
    UnknownWorkflow,
    #[error(transparent)]
    Refused(Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}
