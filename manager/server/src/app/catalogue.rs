//! What the engine may ask of the world beside, answered from the store.

use std::sync::Arc;

use conductor_engine::{Catalogue, LocalTime};
use conductor_model::{SchemaDef, TaskDef, TenantName, Timestamp};
use conductor_store::Store;
use serde_json::Value;

use super::schemas::violations;

/// Task definitions and schemas as they are stored, and the zones of this host. Nobody polls.
pub(super) struct Stored<'s> {
    pub(super) store: &'s dyn Store,
    pub(super) tenant: &'s TenantName,
}

impl Catalogue for Stored<'_> {
    fn moment_in_zone(&self, zone: &str, local: LocalTime) -> Option<Timestamp> {
        let zone = jiff::tz::TimeZone::get(zone).ok()?;
        let shown = jiff::Timestamp::from_millisecond(local.0.0).ok()?.to_zoned(jiff::tz::TimeZone::UTC).datetime();
        Some(Timestamp(shown.to_zoned(zone).ok()?.timestamp().as_millisecond()))
    }

    fn schema_fault(&self, schema: &SchemaDef, what: &'static str, value: &Value) -> Option<String> {
        match violations(self.store, self.tenant, schema, what, value) {
            Ok(Some(faults)) => {
                faults.first().map(|fault| format!("the {what} does not fit its schema: {} {}", fault.path, fault.message))
            }
            Ok(None) => {
                Some(format!("schema {} version {} of the {what} is not there; register it", schema.name, schema.version))
            }
            Err(error) => {
                tracing::error!(%error, name = %schema.name, "a schema cannot be read; going on as if there were none");
                None
            }
        }
    }

    fn task_definition(&self, name: &str) -> Option<Arc<TaskDef>> {
        match self.store.task_def(self.tenant, name) {
            Ok(definition) => definition.map(Arc::new),
            Err(error) => {
                tracing::error!(%error, name, "a task definition cannot be read; going on as if there were none");
                None
            }
        }
    }
}
