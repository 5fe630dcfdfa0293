//! The engine alone: no clock, no disk, one core.

use std::sync::Arc;
use std::time::{Duration, Instant};

use conductor_engine::{Context, Event, NoCatalogue, Plan, Run, StartRequest, WorkerStatus, WorkerUpdate};
use conductor_model::ids::IdSource;
use conductor_model::{Snapshot, TaskDef, TenantName, Timestamp, WorkflowDef, WorkflowId};
use serde_json::{Map, json};
use uuid::Uuid;

use crate::definitions::{SDK_STEPS, sdk_task, sdk_workflow, worker_workflows};
use crate::error::BenchError;
use crate::stats::median;

const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(1);

struct Counter(u128);

impl IdSource for Counter {
    fn next_id(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(self.0)
    }
}

/// Decisions in a second: workflows of [`SDK_STEPS`] steps from their start to their end, each step polled and completed.
///
/// # Errors
/// When the engine refuses one.
pub fn decisions_per_s() -> Result<f64, BenchError> {
    let plan = Arc::new(plan()?);
    let mut ids = Counter(0);
    let mut rates = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let (begin, mut decisions) = (Instant::now(), 0_u64);
        while begin.elapsed() < ROUND {
            decisions += one(&plan, &mut ids)?;
        }
        rates.push(decisions as f64 / begin.elapsed().as_secs_f64());
    }
    Ok(median(&rates))
}

fn plan() -> Result<Plan, BenchError> {
    let wrong = |reason: String| BenchError::Shape { what: "the measured definition", reason };
    let name = sdk_workflow(SDK_STEPS);
    let definition = worker_workflows().into_iter().find(|workflow| workflow["name"] == name.as_str()).unwrap_or_default();
    let workflow: WorkflowDef = serde_json::from_value(definition).map_err(|error| wrong(error.to_string()))?;
    let tasks = (0..SDK_STEPS).map(|step| (sdk_task(step), Arc::new(TaskDef::named(sdk_task(step))))).collect();
    let snapshot = Snapshot { digest: name, workflow: Arc::new(workflow), tasks };
    Plan::compile(Arc::new(snapshot)).map_err(|error| wrong(error.to_string()))
}

fn one(plan: &Arc<Plan>, ids: &mut Counter) -> Result<u64, BenchError> {
    let refused = |error: String| BenchError::Shape { what: "a decision", reason: error };
    let request = StartRequest::new(
        WorkflowId(ids.next_id()),
        TenantName::default_tenant(),
        Map::from_iter([("x".to_owned(), json!(1))]),
    );
    let mut context = Context { now: Timestamp(1_000), ids, jitter: 0.0, catalogue: &NoCatalogue };
    let (mut run, _) = Run::start(Arc::clone(plan), request, &mut context);
    let mut decisions = 1;
    loop {
        let open = run.open_tasks().next().map(|task| task.id);
        let Some(task) = open else { return Ok(decisions) };
        run.decide(Event::Polled { task, worker: "w".to_owned() }, &mut context).map_err(|error| refused(error.to_string()))?;
        let update = WorkerUpdate {
            task,
            status: WorkerStatus::Completed,
            output: Map::from_iter([("done".to_owned(), json!(true))]),
            merge_output: false,
            reason: None,
            worker_id: None,
            callback_after_seconds: 0,
            extend_lease: false,
        };
        run.decide(Event::Updated(update), &mut context).map_err(|error| refused(error.to_string()))?;
        decisions += 2;
    }
}
