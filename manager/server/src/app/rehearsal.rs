//! Trying a workflow definition out: the engine runs it in memory, on a clock of its own, with outputs given instead of done.
//! Nothing is stored, sent or polled; scripts are evaluated as ever.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;

use conductor_engine::{
    ChildOrder, Context, Decision, Effect, Event, PerformFailure, Plan, Run, ServerWork, StartRequest, WorkerStatus,
    WorkerUpdate, awaits_workflow, is_for_workers,
};
use conductor_model::{TaskId, TaskRecord, TaskStatus, TenantName, Timestamp, WorkflowDef, WorkflowId, WorkflowStatus};
use serde_json::{Map, Value};

use super::catalogue::Stored;
use super::perform::language_of;
use super::{App, AppError};
use crate::clock::{self, SystemIds};

/// Events of one rehearsal at most, those of its sub-workflows apart.
const EVENTS_MAX: usize = 20_000;
/// Sub-workflows within each other at most.
const DEPTH_MAX: usize = 8;

/// What to try out (Conductor API: WorkflowTestRequest).
#[derive(Clone, Debug, Default)]
pub struct Rehearsal {
    /// Name of the definition.
    pub name: String,
    /// Its version; the highest where none is named.
    pub version: Option<i32>,
    /// A definition given in place.
    pub definition: Option<WorkflowDef>,
    /// Input.
    pub input: Map<String, Value>,
    /// The starter's own id for it.
    pub correlation_id: Option<String>,
    /// What becomes of each attempt at a step, by reference; the last one stands for all that follow.
    pub outcomes: BTreeMap<String, Vec<MockOutcome>>,
    /// The rehearsals of sub-workflows, by the reference of the step that starts them.
    pub children: BTreeMap<String, Rehearsal>,
}

/// What becomes of an attempt.
#[derive(Clone, Debug)]
pub struct MockOutcome {
    /// As a worker would report it.
    pub status: WorkerStatus,
    /// Its output.
    pub output: Map<String, Value>,
    /// How long it waits for its worker, in ms.
    pub queued_ms: i64,
    /// How long it takes, in ms.
    pub takes_ms: i64,
}

/// How far it came.
#[derive(Debug)]
pub struct Rehearsed {
    /// The run, which goes nowhere from here.
    pub run: Run,
    /// What it ran by.
    pub plan: Arc<Plan>,
}

type Later<'a> = Pin<Box<dyn Future<Output = Result<Rehearsed, AppError>> + Send + 'a>>;

impl App {
    /// Tries a definition out. It goes on until it is over or needs an outcome that is not given.
    ///
    /// # Errors
    /// `not-found` and `definition-invalid` as at a start; `rehearsal-endless` when it takes too many steps.
    pub async fn rehearse(&self, tenant: &TenantName, rehearsal: &Rehearsal) -> Result<Rehearsed, AppError> {
        let request = StartRequest::new(WorkflowId::generate(&mut SystemIds), tenant.clone(), rehearsal.input.clone());
        let request = StartRequest { correlation_id: rehearsal.correlation_id.clone(), ..request };
        self.rehearse_within(tenant, rehearsal, request, clock::now(), 0).await
    }

    fn rehearse_within<'a>(
        &'a self,
        tenant: &'a TenantName,
        rehearsal: &'a Rehearsal,
        request: StartRequest,
        now: Timestamp,
        depth: usize,
    ) -> Later<'a> {
        Box::pin(async move {
            let definition = rehearsal.definition.clone();
            let plan = self.plan_to_start(tenant, &rehearsal.name, rehearsal.version, definition).await?;
            self.check_start(tenant, &plan, &request.input).await?;
            let (used, ahead, events) = Default::default();
            let mut stage = Stage { app: self, tenant, rehearsal, now, depth, used, ahead, events };
            let begun = Arc::clone(&plan);
            let (mut run, decision) = stage.decide(move |context| Run::start(begun, request, context)).await?;
            stage.note(decision);
            for _ in 0..EVENTS_MAX {
                if run.workflow().status.is_terminal() {
                    return Ok(Rehearsed { run, plan });
                }
                let Some(event) = stage.next(&run).await? else { return Ok(Rehearsed { run, plan }) };
                let decided;
                (run, decided) = stage
                    .decide(move |context| {
                        let decided = run.decide(event, context);
                        (run, decided)
                    })
                    .await?;
                // What is refused has been overtaken by something else.
                if let Ok(decision) = decided {
                    stage.note(decision);
                }
            }
            Err(AppError::invalid("rehearsal-endless", format!("the workflow is not over after {EVENTS_MAX} events")))
        })
    }
}

/// Plays everything that is not the engine.
struct Stage<'a> {
    app: &'a App,
    tenant: &'a TenantName,
    rehearsal: &'a Rehearsal,
    now: Timestamp,
    depth: usize,
    /// Outcomes that were used up, by reference.
    used: HashMap<String, usize>,
    /// What the engine asked for.
    ahead: VecDeque<Effect>,
    /// What follows on what was done.
    events: VecDeque<Event>,
}

impl Stage<'_> {
    /// Has the engine decide, with what is registered at its hand. It reads the store, and may block.
    async fn decide<T: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut Context<'_>) -> T + Send + 'static,
    ) -> Result<T, AppError> {
        let (tenant, now) = (self.tenant.clone(), self.now);
        self.app
            .read(move |store| {
                let catalogue = Stored { store, tenant: &tenant };
                Ok(decide(&mut Context { now, ids: &mut SystemIds, jitter: 0.0, catalogue: &catalogue }))
            })
            .await
    }

    fn note(&mut self, decision: Decision) {
        self.ahead.extend(decision.effects);
    }

    /// What happens next; `None` = nothing more can.
    async fn next(&mut self, run: &Run) -> Result<Option<Event>, AppError> {
        if let Some(event) = self.events.pop_front() {
            return Ok(Some(event));
        }
        while let Some(effect) = self.ahead.pop_front() {
            match effect {
                Effect::Perform { task, turn } => {
                    if let Some(event) = self.perform(run, task, turn).await? {
                        return Ok(Some(event));
                    }
                }
                Effect::StartWorkflow { task: Some(task), order } => {
                    if let Some(event) = self.start_child(run, task, *order).await? {
                        return Ok(Some(event));
                    }
                }
                Effect::StartWorkflow { task: None, .. }
                | Effect::Dispatch { .. }
                | Effect::Cancel { .. }
                | Effect::TerminateWorkflow { .. }
                | Effect::RetryWorkflow { .. }
                | Effect::Alert { .. } => {}
            }
        }
        Ok(self.report(run).or_else(|| self.wait(run)))
    }

    /// The manager's own work: what was given for the step, a script's value, or a refusal to do anything outside.
    async fn perform(&mut self, run: &Run, task: TaskId, turn: u32) -> Result<Option<Event>, AppError> {
        let Some(record) = run.task(task) else { return Ok(None) };
        if self.outcome_for(&record.reference).is_some() {
            return Ok(None);
        }
        let result = match run.server_work(task) {
            None => return Ok(None),
            Some(ServerWork::Script { language, source, style, input }) => {
                let scripts = self.app.inner.performers.scripts();
                let value = scripts.value(language_of(language, style), source, input).await;
                value.map_err(|error| PerformFailure { message: error.to_string(), terminal: true })
            }
            Some(ServerWork::Publish { .. }) => Ok(Value::Null),
            Some(ServerWork::Http(_)) => Err(PerformFailure {
                message: format!(
                    "nothing is sent in a test; give an outcome for {:?} in taskRefToMockOutput",
                    record.reference
                ),
                terminal: true,
            }),
        };
        Ok(Some(Event::Performed { task, turn, result }))
    }

    /// A sub-workflow: its own rehearsal, or what was given for the step.
    async fn start_child(&mut self, run: &Run, task: TaskId, order: ChildOrder) -> Result<Option<Event>, AppError> {
        let Some(record) = run.task(task) else { return Ok(None) };
        let started = Event::ChildStarted { task, workflow: order.id };
        if order.parent.is_none() {
            return Ok(Some(started));
        }
        if let Some(outcome) = self.take_outcome(&record.reference) {
            let status =
                if outcome.status == WorkerStatus::Completed { WorkflowStatus::Completed } else { WorkflowStatus::Failed };
            self.now = self.now.plus_ms(outcome.takes_ms);
            self.ended(task, order.id, status, outcome.output, None);
            return Ok(Some(started));
        }
        if self.depth >= DEPTH_MAX {
            let reason = format!("more than {DEPTH_MAX} sub-workflows within each other");
            return Ok(Some(Event::ChildRefused { task, reason, terminal: false }));
        }
        let given = self.rehearsal.children.get(&*record.reference).cloned().unwrap_or_default();
        let child = Rehearsal {
            name: order.name,
            version: order.version,
            definition: order.definition.map(|one| (*one).clone()),
            ..given
        };
        let request = StartRequest::new(order.id, self.tenant.clone(), order.input);
        let request = StartRequest { parent: order.parent, correlation_id: order.correlation_id, ..request };
        let rehearsed = self.app.rehearse_within(self.tenant, &child, request, self.now, self.depth + 1).await;
        let over = match rehearsed {
            Ok(rehearsed) => rehearsed.run.workflow().clone(),
            Err(AppError::NotFound { what, id }) => {
                let reason = format!("no such {what}: {id}");
                return Ok(Some(Event::ChildRefused { task, reason, terminal: false }));
            }
            Err(AppError::Invalid { code: "schema-violated" | "schema-missing", message, .. }) => {
                let reason = format!("workflow {} cannot be started: {message}", child.name);
                return Ok(Some(Event::ChildRefused { task, reason, terminal: true }));
            }
            Err(error) => return Err(error),
        };
        if over.status.is_terminal() {
            self.now = self.now.max(over.updated_at);
            let output = if let Value::Object(output) = &*over.output { output.clone() } else { Map::new() };
            self.ended(task, order.id, over.status, output, over.reason);
        }
        Ok(Some(started))
    }

    fn ended(
        &mut self,
        task: TaskId,
        workflow: WorkflowId,
        status: WorkflowStatus,
        output: Map<String, Value>,
        reason: Option<String>,
    ) {
        self.events.push_back(Event::ChildEnded { task, workflow, status, output, reason });
    }

    /// The first open task for which there is an outcome: it is polled, where it is for workers, and reported on.
    fn report(&mut self, run: &Run) -> Option<Event> {
        let ready = |task: &&TaskRecord| task.visible_at <= self.now || task.started_at.is_some();
        let mut open = run.open_tasks().filter(ready);
        let task = open.find(|task| !awaits_workflow(task) && self.outcome_for(&task.reference).is_some())?;
        let (id, polled) = (task.id, is_for_workers(task) && task.agent.is_none());
        let waits = task.status == TaskStatus::Scheduled;
        let outcome = self.take_outcome(&task.reference)?;
        let update = WorkerUpdate {
            task: id,
            status: outcome.status,
            output: outcome.output,
            merge_output: false,
            reason: None,
            worker_id: Some("test".to_owned()),
            callback_after_seconds: 0,
            extend_lease: false,
        };
        if polled && waits {
            self.now = self.now.plus_ms(outcome.queued_ms);
            self.events.push_back(Event::Updated(update));
            let event = Event::Polled { task: id, worker: "test".to_owned() };
            self.now = self.now.plus_ms(outcome.takes_ms);
            return Some(event);
        }
        self.now = self.now.plus_ms(outcome.takes_ms);
        Some(Event::Updated(update))
    }

    /// The clock goes on to the next moment at which something happens by itself: the end of a wait or a delay.
    fn wait(&mut self, run: &Run) -> Option<Event> {
        let due = run.open_tasks().filter_map(|task| Some((task.due_at?, task.id))).min();
        if let Some((at, task)) = due {
            self.now = self.now.max(at);
            return Some(Event::TaskTimer { task });
        }
        let delayed = run.open_tasks().filter(|task| task.visible_at > self.now && self.outcome_for(&task.reference).is_some());
        self.now = delayed.map(|task| task.visible_at).min()?;
        self.report(run)
    }

    /// What becomes of the next attempt at a step. A step of a loop is also known without its round.
    fn outcome_for(&self, reference: &str) -> Option<(&str, &MockOutcome)> {
        let step = || reference.rsplit_once("__").map(|(step, _)| step);
        let (key, all) =
            (self.rehearsal.outcomes.get_key_value(reference)).or_else(|| self.rehearsal.outcomes.get_key_value(step()?))?;
        let used = self.used.get(key).copied().unwrap_or(0);
        all.get(used).or_else(|| all.last()).map(|outcome| (key.as_str(), outcome))
    }

    fn take_outcome(&mut self, reference: &str) -> Option<MockOutcome> {
        let (key, outcome) = self.outcome_for(reference).map(|(key, outcome)| (key.to_owned(), outcome.clone()))?;
        *self.used.entry(key).or_default() += 1;
        Some(outcome)
    }
}
