//! What the engine may look up while it decides.

use std::sync::Arc;

use conductor_model::{SchemaDef, TaskDef, Timestamp};
use serde_json::Value;

/// What the engine may look up: things that are only known when a step is reached.
pub trait Catalogue {
    /// The task definition of this name as it stands now, if there is one.
    fn task_definition(&self, name: &str) -> Option<Arc<TaskDef>>;

    /// The moment at which clocks in `zone` (as in `Europe/Berlin`) show `local`. `None` = the zone is not known.
    fn moment_in_zone(&self, zone: &str, local: LocalTime) -> Option<Timestamp> {
        let _ = (zone, local);
        None
    }

    /// Whether workers poll for tasks of this definition in a domain, or without one.
    fn is_polled(&self, definition_name: &str, domain: Option<&str>) -> bool {
        let _ = (definition_name, domain);
        false
    }

    /// Why a value breaks a schema; `None` = it fits.
    fn schema_fault(&self, schema: &SchemaDef, what: &'static str, value: &Value) -> Option<String> {
        let _ = (schema, what, value);
        None
    }
}

/// What a clock on a wall shows, as the moment at which a clock in UTC shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime(pub Timestamp);

/// A catalogue with nothing in it.
#[derive(Clone, Copy, Debug)]
pub struct NoCatalogue;

impl Catalogue for NoCatalogue {
    fn task_definition(&self, _: &str) -> Option<Arc<TaskDef>> {
        None
    }
}
