//! Starting a workflow.

use std::collections::BTreeSet;
use std::sync::Arc;

use conductor_model::{WorkflowRecord, WorkflowStatus};
use serde_json::{Map, Value};

use crate::decision::Decision;
use crate::event::{Catalogue, Context, StartRequest};
use crate::frame::{Frames, Site};
use crate::kept::Kept;
use crate::plan::Plan;
use crate::run::Run;
use crate::state::State;
use crate::turn::{Turn, Work};

/// Makes the run and schedules its first steps. The decision's workflow has revision 1.
pub(crate) fn start(plan: Arc<Plan>, request: StartRequest, context: &mut Context<'_>) -> (Run, Decision) {
    let definition = Arc::clone(&plan.snapshot().workflow);
    let now = context.now;
    let input = plan.whole_input(request.input);
    let workflow = WorkflowRecord {
        id: request.id,
        tenant: request.tenant,
        name: definition.name.clone(),
        version: definition.version,
        snapshot: Arc::from(plan.snapshot().digest.as_str()),
        revision: 0,
        status: WorkflowStatus::Running,
        created_at: now,
        updated_at: now,
        ended_at: None,
        last_retried_at: None,
        input: Arc::new(Value::Object(input)),
        output: Arc::new(Value::Object(Map::new())),
        variables: Arc::new(Value::Object(definition.variables.clone())),
        correlation_id: request.correlation_id,
        idempotency_key: request.idempotency_key,
        priority: request.priority,
        task_to_domain: request.task_to_domain,
        parent_workflow_id: request.parent.map(|(workflow, _)| workflow),
        parent_task_id: request.parent.map(|(_, task)| task),
        created_by: request.created_by,
        reason: None,
        failed_references: BTreeSet::new(),
        failed_task_names: BTreeSet::new(),
        next_seq: 1,
        timer_at: (definition.timeout_seconds > 0).then(|| now.plus_seconds(definition.timeout_seconds)),
        tolerated: 0,
        event: request.event,
        rate_limit_key: request.rate_limit_key,
        rate_limited: request.rate_limited,
    };
    let first = plan.root().nodes[0];
    let (state, frames) = (State::of(&workflow), Frames::new(Arc::clone(&plan)));
    let mut run = Run { plan, workflow: Kept::new(workflow), frames, state };
    let mut turn = Turn::new(&mut run, context);
    turn.tell_workflow("workflow.started");
    if !turn.run.workflow.rate_limited {
        turn.push(Work::Schedule(Site::root(first)));
    }
    let decision = turn.decide();
    (run, decision)
}

impl Plan {
    /// The input of a run that is started with `given`: what it lacks is filled in from the definition's template.
    #[must_use]
    pub fn whole_input(&self, mut given: Map<String, Value>) -> Map<String, Value> {
        for (key, value) in &self.snapshot().workflow.input_template {
            if !given.contains_key(key) {
                given.insert(key.clone(), value.clone());
            }
        }
        given
    }

    /// Why a run cannot be started with `given`: its whole input breaks the schema that the definition enforces, or the schema
    /// is nowhere. For people; `None` = it fits, or no schema is enforced. [`crate::Run::start`] does not ask: whoever starts a
    /// run does, where a refusal can be told.
    #[must_use]
    pub fn input_fault(&self, given: &Map<String, Value>, catalogue: &dyn Catalogue) -> Option<String> {
        let definition = &self.snapshot().workflow;
        let schema = definition.input_schema.as_ref().filter(|_| definition.enforce_schema)?;
        catalogue.schema_fault(schema, "input", &Value::Object(self.whole_input(given.clone())))
    }
}
