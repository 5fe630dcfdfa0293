//! A run without the harness's checks, for many steps.

use std::sync::Arc;

use conductor_model::ids::IdSource;
use conductor_model::{Snapshot, TenantName, WorkflowId};
use serde_json::{Value, json};

use super::harness::{BEGIN, Counter, Shelf, object};
use crate::{Context, Decision, Event, Plan, Run, StartRequest};

/// A run without the harness's checks, for many steps.
pub(super) struct Bare {
    pub run: Run,
    ids: Counter,
}

impl Bare {
    pub fn start(snapshot: Snapshot) -> Self {
        Self::start_with(snapshot, json!({}))
    }

    pub fn start_with(snapshot: Snapshot, input: Value) -> Self {
        let mut ids = Counter(0);
        let request = StartRequest::new(WorkflowId(ids.next_id()), TenantName::default_tenant(), object(input));
        let plan = Arc::new(Plan::compile(Arc::new(snapshot)).unwrap());
        let mut context = Context { now: BEGIN, ids: &mut ids, jitter: 0.0, catalogue: &Shelf };
        let (run, _) = Run::start(plan, request, &mut context);
        Self { run, ids }
    }

    #[track_caller]
    pub fn event(&mut self, event: Event) -> Decision {
        let mut context = Context { now: BEGIN, ids: &mut self.ids, jitter: 0.0, catalogue: &Shelf };
        self.run.decide(event, &mut context).unwrap()
    }
}
