//! A workflow, a clock that is turned by hand, and a store of what was decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use conductor_model::ids::IdSource;
use conductor_model::{
    AgentId, Outcome, Snapshot, TaskDef, TaskId, TaskRecord, TaskStatus, TenantName, Timestamp, Violation, WorkflowDef,
    WorkflowId, WorkflowRecord, WorkflowStatus,
};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    AgentOutcome, Catalogue, ChildOrder, Context, Decision, Effect, Event, LocalTime, Plan, PlanError, Refusal, Run,
    StartRequest, WorkerStatus, WorkerUpdate,
};

/// Ids in order.
pub(super) struct Counter(pub u128);

impl IdSource for Counter {
    fn next_id(&mut self) -> Uuid {
        self.0 += 1;
        Uuid::from_u128(self.0)
    }
}

/// What stories may look up: definitions of `t1` and `t2`, and a zone two hours ahead.
pub(super) struct Shelf;

impl Catalogue for Shelf {
    fn task_definition(&self, name: &str) -> Option<Arc<TaskDef>> {
        let retries = match name {
            "t1" => 1,
            "t2" => 2,
            _ => return None,
        };
        Some(Arc::new(TaskDef { retry_count: retries, retry_delay_seconds: 0, ..TaskDef::named(name) }))
    }

    fn moment_in_zone(&self, zone: &str, local: LocalTime) -> Option<Timestamp> {
        (zone == "Story/Zone").then(|| local.0.plus_seconds(0).plus_ms(-7_200_000))
    }
}

/// When stories begin.
pub(super) const BEGIN: Timestamp = Timestamp(1_000_000);

pub(super) struct Story {
    pub run: Run,
    pub now: Timestamp,
    pub jitter: f64,
    /// The effects of the last decision.
    pub effects: Vec<Effect>,
    /// The kinds of all feed entries so far.
    pub feed: Vec<&'static str>,
    /// How many task changes the last decision had.
    pub changes: usize,
    ids: Counter,
    stored: BTreeMap<TaskId, TaskRecord>,
    stored_workflow: WorkflowRecord,
    /// Whether the last decision had the workflow in it.
    pub stored_with_it: bool,
}

/// A snapshot of a workflow definition and task definitions, all in JSON.
pub(super) fn snapshot(mut workflow: Value, definitions: Value) -> Snapshot {
    if workflow.get("name").is_none() {
        workflow["name"] = json!("story");
    }
    let workflow: WorkflowDef = serde_json::from_value(workflow).expect("a workflow definition");
    let definitions: Vec<TaskDef> = serde_json::from_value(definitions).expect("task definitions");
    for definition in &definitions {
        assert_eq!(definition.validate(), [], "{}", definition.name);
    }
    let tasks = definitions.into_iter().map(|definition| (definition.name.clone(), Arc::new(definition))).collect();
    Snapshot { digest: "digest".to_owned(), workflow: Arc::new(workflow), tasks }
}

pub(super) fn violations(workflow: Value) -> Vec<Violation> {
    match Plan::compile(Arc::new(snapshot(workflow, json!([])))) {
        Ok(_) => Vec::new(),
        Err(PlanError::Invalid(violations)) => violations,
    }
}

/// A SIMPLE step whose reference is its name.
pub(super) fn simple(reference: &str) -> Value {
    json!({"name": reference, "taskReferenceName": reference})
}

/// The indices of a run by names, which are the same however it came to be.
struct Indices {
    latest: BTreeMap<String, TaskId>,
    names: BTreeMap<String, TaskId>,
    open: Vec<TaskId>,
    missing: BTreeMap<String, usize>,
    pending: Vec<TaskId>,
    weight: usize,
}

impl Indices {
    fn of(run: &Run) -> Self {
        let id = |ix: &crate::state::Ix| run.record(*ix).id;
        let name = |site: &crate::frame::Site| run.frames.reference(*site).to_string();
        Self {
            latest: run.state.latest.iter().map(|(site, ix)| (name(site), id(ix))).collect(),
            names: run.tasks().map(|task| (task.reference.to_string(), run.latest(&task.reference).unwrap().id)).collect(),
            open: run.state.open.iter().map(id).collect(),
            missing: run.state.missing.iter().map(|(site, missing)| (name(site), *missing)).collect(),
            pending: run.state.pending.iter().map(id).collect(),
            weight: run.state.weight,
        }
    }
}

impl Story {
    #[track_caller]
    pub fn start(workflow: Value, definitions: Value, input: Value) -> Self {
        let plan = Arc::new(Plan::compile(Arc::new(snapshot(workflow, definitions))).unwrap());
        Self::start_plan(plan, input)
    }

    #[track_caller]
    pub fn start_plan(plan: Arc<Plan>, input: Value) -> Self {
        Self::start_request(plan, input, false)
    }

    /// A workflow that waits for its turn.
    pub fn start_limited(plan: Arc<Plan>) -> Self {
        Self::start_request(plan, json!({}), true)
    }

    #[track_caller]
    fn start_request(plan: Arc<Plan>, input: Value, rate_limited: bool) -> Self {
        let Value::Object(input) = input else { panic!("the input is an object") };
        let mut ids = Counter(0);
        let request = StartRequest {
            correlation_id: Some("order-7".to_owned()),
            priority: 3,
            task_to_domain: BTreeMap::from([("domained".to_owned(), "blue".to_owned())]),
            rate_limited,
            ..StartRequest::new(WorkflowId(ids.next_id()), TenantName::default_tenant(), input)
        };
        let mut context = Context { now: BEGIN, ids: &mut ids, jitter: 0.0, catalogue: &Shelf };
        let (run, decision) = Run::start(plan, request, &mut context);
        let stored_workflow = run.workflow().clone();
        let mut story = Self {
            run,
            now: BEGIN,
            jitter: 0.0,
            effects: Vec::new(),
            feed: Vec::new(),
            changes: 0,
            ids,
            stored: BTreeMap::new(),
            stored_workflow,
            stored_with_it: false,
        };
        story.stored_workflow.revision = 0;
        story.store(decision);
        story
    }

    #[track_caller]
    fn store(&mut self, decision: Decision) {
        self.stored_with_it = decision.workflow.is_some();
        if let Some(workflow) = decision.workflow {
            assert_eq!(workflow.revision, self.stored_workflow.revision + 1);
            assert_eq!(workflow.updated_at, self.now);
            self.stored_workflow = workflow;
        }
        assert!(self.now.ms_since(self.stored_workflow.updated_at) < 1000, "what is shown of it is old");
        self.changes = decision.tasks.len();
        for removed in &decision.removed {
            assert!(self.stored.remove(removed).is_some(), "only what is stored is removed");
        }
        for change in decision.tasks {
            let before = self.stored.insert(change.record.id, change.record);
            assert_eq!(before.is_none(), change.inserted);
        }
        self.effects = decision.effects;
        self.feed.extend(decision.feed.iter().map(|entry| entry.kind));
        self.check();
    }

    /// What must hold after every decision.
    #[track_caller]
    fn check(&self) {
        assert!(self.run.tasks().eq(self.sorted().iter()), "memory and store differ");
        let over = self.run.workflow().status.is_terminal();
        if over {
            let left: Vec<_> = self.run.tasks().filter(|task| !task.status.is_terminal() || task.timer_at.is_some()).collect();
            assert!(left.is_empty(), "the workflow is over and these are not: {left:#?}");
            assert_eq!(self.run.workflow().timer_at, None);
        }
        let loaded = Run::load(Arc::clone(&self.run.plan), self.stored_workflow.clone(), self.sorted());
        assert_eq!(loaded.workflow(), self.run.workflow());
        let (loaded, state) = (Indices::of(&loaded), Indices::of(&self.run));
        assert_eq!(loaded.latest, state.latest);
        assert_eq!(loaded.names, state.names);
        assert_eq!(loaded.open, state.open);
        assert_eq!(loaded.missing, state.missing);
        assert_eq!(loaded.pending, state.pending);
        assert_eq!(loaded.weight, state.weight);
        match self.run.workflow().status {
            WorkflowStatus::Running => {
                assert!(!state.open.is_empty() || self.run.workflow().rate_limited, "running, and nothing is open");
                assert!(state.pending.is_empty());
            }
            WorkflowStatus::Paused => {}
            WorkflowStatus::Completed | WorkflowStatus::Failed | WorkflowStatus::TimedOut | WorkflowStatus::Terminated => {
                assert!(state.missing.is_empty() && state.pending.is_empty() && state.open.is_empty());
            }
        }
        for task in self.run.open_tasks().filter(|task| task.performing) {
            assert!(self.run.server_work(task.id).is_some(), "{} performs nothing", task.reference);
        }
    }

    fn sorted(&self) -> Vec<TaskRecord> {
        let mut tasks: Vec<TaskRecord> = self.stored.values().cloned().collect();
        tasks.sort_by_key(|task| task.seq);
        tasks
    }

    /// Drops the run and loads it from the stored records, as after a restart.
    pub fn restart(&mut self) {
        let plan = Arc::clone(self.run.plan());
        let mut tasks = self.sorted();
        tasks.reverse();
        self.run = Run::load(plan, self.stored_workflow.clone(), tasks);
        self.check();
    }

    #[track_caller]
    pub fn try_event(&mut self, event: Event) -> Result<(), Refusal> {
        let mut context = Context { now: self.now, ids: &mut self.ids, jitter: self.jitter, catalogue: &Shelf };
        match self.run.decide(event, &mut context) {
            Ok(decision) => {
                self.store(decision);
                Ok(())
            }
            Err(refusal) => {
                self.check();
                Err(refusal)
            }
        }
    }

    #[track_caller]
    pub fn event(&mut self, event: Event) {
        let shown = format!("{event:?}");
        self.try_event(event).unwrap_or_else(|refusal| panic!("{shown}: {refusal}"));
    }

    #[track_caller]
    pub fn task(&self, reference: &str) -> &TaskRecord {
        self.run.latest(reference).unwrap_or_else(|| panic!("{reference} was not scheduled"))
    }

    #[track_caller]
    pub fn id(&self, reference: &str) -> TaskId {
        self.task(reference).id
    }

    pub fn status(&self) -> WorkflowStatus {
        self.run.workflow().status
    }

    /// All tasks by seq, as `reference status`.
    pub fn tasks(&self) -> Vec<String> {
        self.run.tasks().map(|task| format!("{} {}", task.reference, task.status)).collect()
    }

    /// References of the tasks that are not over.
    pub fn open(&self) -> Vec<String> {
        self.run.open_tasks().map(|task| task.reference.to_string()).collect()
    }

    pub fn wait(&mut self, seconds: i64) {
        self.now = self.now.plus_seconds(seconds);
    }

    #[track_caller]
    pub fn poll(&mut self, reference: &str) {
        let task = self.id(reference);
        self.event(Event::Polled { task, worker: "w1".to_owned() });
    }

    #[track_caller]
    pub fn update(&mut self, reference: &str, status: WorkerStatus, output: Value) {
        let update = self.worker_update(reference, status, output);
        self.event(Event::Updated(update));
    }

    #[track_caller]
    pub fn worker_update(&self, reference: &str, status: WorkerStatus, output: Value) -> WorkerUpdate {
        let failed = matches!(status, WorkerStatus::Failed | WorkerStatus::FailedWithTerminalError);
        WorkerUpdate {
            task: self.id(reference),
            status,
            output: object(output),
            merge_output: false,
            reason: failed.then(|| "it broke".to_owned()),
            worker_id: Some("w1".to_owned()),
            callback_after_seconds: 0,
            extend_lease: false,
        }
    }

    #[track_caller]
    pub fn complete(&mut self, reference: &str, output: Value) {
        self.update(reference, WorkerStatus::Completed, output);
    }

    #[track_caller]
    pub fn fail(&mut self, reference: &str) {
        self.update(reference, WorkerStatus::Failed, json!({}));
    }

    #[track_caller]
    pub fn assign(&mut self, reference: &str, agent: &str) {
        let task = self.id(reference);
        let agent: AgentId = agent.parse().unwrap();
        self.event(Event::Assigned { task, agent, incarnation: "i1".to_owned(), alternates: Vec::new() });
    }

    #[track_caller]
    pub fn dispatch(&self, reference: &str) -> u32 {
        self.task(reference).agent.as_ref().expect("runs on an agent").dispatch
    }

    #[track_caller]
    pub fn started(&mut self, reference: &str) {
        let (task, dispatch, at) = (self.id(reference), self.dispatch(reference), self.now);
        self.event(Event::Started { task, dispatch, at });
    }

    #[track_caller]
    pub fn finish(&mut self, reference: &str, outcome: Outcome, output: Value) {
        let (task, dispatch) = (self.id(reference), self.dispatch(reference));
        let reason = (!matches!(outcome, Outcome::Succeeded | Outcome::NotNeeded)).then(|| format!("{outcome}"));
        let outcome = AgentOutcome { outcome, output: object(output), reason, started_at: None };
        self.event(Event::Finished { task, dispatch, outcome });
    }

    /// The manager's own work on the task came to this.
    #[track_caller]
    pub fn perform(&mut self, reference: &str, value: Value) {
        let (task, turn) = (self.id(reference), self.task(reference).turn);
        self.event(Event::Performed { task, turn, result: Ok(value) });
    }

    /// It failed.
    #[track_caller]
    pub fn perform_fails(&mut self, reference: &str, message: &str, terminal: bool) {
        let (task, turn) = (self.id(reference), self.task(reference).turn);
        let result = Err(crate::PerformFailure { message: message.to_owned(), terminal });
        self.event(Event::Performed { task, turn, result });
    }

    /// Turns the clock to the task's timer and lets it go off.
    #[track_caller]
    pub fn time_out(&mut self, reference: &str) {
        let task = self.id(reference);
        self.now = self.task(reference).timer_at.expect("has a timer");
        self.event(Event::TaskTimer { task });
    }

    /// The workflow that the last decision starts.
    pub fn child(&self) -> Option<&ChildOrder> {
        self.effects.iter().find_map(|effect| match effect {
            Effect::StartWorkflow { order, .. } => Some(&**order),
            _ => None,
        })
    }

    /// The statuses of a step's attempts.
    pub fn attempts(&self, reference: &str) -> Vec<TaskStatus> {
        self.run.tasks().filter(|task| &*task.reference == reference).map(|task| task.status).collect()
    }
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("{other} is not an object"),
    }
}
