//! One workflow in memory.

use std::sync::Arc;

use conductor_model::{TaskId, TaskRecord, WorkflowRecord};

use crate::decision::Decision;
use crate::event::{Context, Event, Refusal, StartRequest};
use crate::plan::Plan;

/// One workflow in memory: its record, its tasks, and indices over them that are worked out from the records.
#[derive(Debug)]
pub struct Run {
    plan: Arc<Plan>,
    workflow: WorkflowRecord,
}

impl Run {
    /// Starts a workflow: its record and first tasks.
    pub fn start(plan: Arc<Plan>, request: StartRequest, context: &mut Context<'_>) -> (Self, Decision) {
        let _ = (plan, request, context);
        unreachable!("written by the engine's author")
    }

    /// A run as it was stored. `tasks` are all its tasks, in any order.
    #[must_use]
    pub fn load(plan: Arc<Plan>, workflow: WorkflowRecord, tasks: Vec<TaskRecord>) -> Self {
        let _ = tasks;
        Self { plan, workflow }
    }

    /// Decides what `event` changes and applies it to this run in memory. When storing the decision fails, the run must
    /// be dropped and loaded again.
    ///
    /// # Errors
    /// A [`Refusal`] when the event does not fit; the run is then as it was.
    pub fn decide(&mut self, event: Event, context: &mut Context<'_>) -> Result<Decision, Refusal> {
        let _ = (event, context);
        Err(Refusal::NothingDue)
    }

    /// The workflow's record.
    #[must_use]
    pub fn workflow(&self) -> &WorkflowRecord {
        &self.workflow
    }

    /// One of its tasks.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&TaskRecord> {
        let _ = id;
        None
    }

    /// The definitions it runs by.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The newest attempt at the step with this reference.
    #[must_use]
    pub fn latest(&self, reference: &str) -> Option<&TaskRecord> {
        let _ = reference;
        None
    }

    /// Roughly how many bytes the run takes in memory, to bound the manager's cache.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        0
    }
}
