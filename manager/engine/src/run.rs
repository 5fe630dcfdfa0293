//! One workflow in memory.

use std::collections::BTreeSet;
use std::sync::Arc;

use conductor_model::limits::TASK_PAYLOAD_BYTES_MAX;
use conductor_model::{TaskId, TaskRecord, WorkflowRecord};
use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::{Map, Value};

use crate::decision::Decision;
use crate::document::Scope;
use crate::event::{Context, Event, Refusal, StartRequest};
use crate::expression::{Budget, TooLarge};
use crate::plan::{NodeId, Plan};
use crate::work::ServerWork;
use crate::{handle, load, start};

/// One workflow in memory: its record, its tasks, and indices over them that are worked out from the records.
#[derive(Debug)]
pub struct Run {
    pub(crate) plan: Arc<Plan>,
    pub(crate) workflow: WorkflowRecord,
    pub(crate) state: State,
}

/// A task by its place in [`State::tasks`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ix(pub u32);

/// The tasks and the indices over them. Everything but `tasks` is worked out from them when a run is loaded, and kept up
/// to date by each decision.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// By `seq`.
    pub tasks: Vec<Task>,
    pub by_id: FxHashMap<TaskId, Ix>,
    /// The newest attempt at each step that was scheduled.
    pub latest: FxHashMap<NodeId, Ix>,
    /// Tasks that are not over.
    pub open: BTreeSet<Ix>,
    /// For each join in progress: how many of the steps that it waits for are not settled.
    pub missing: FxHashMap<NodeId, usize>,
    /// Steps that some join waits for and that are finished or can no longer come.
    pub settled: FxHashSet<NodeId>,
    /// Tasks that ended while the workflow was paused: what follows from that is drawn when it goes on.
    pub pending: BTreeSet<Ix>,
    /// Permissive steps that failed: the workflow goes on, and has failed at its end.
    pub tolerated: usize,
    /// Bytes of the records, the workflow's input and output included, roughly.
    pub weight: usize,
}

/// A task with its step.
#[derive(Debug)]
pub(crate) struct Task {
    pub record: TaskRecord,
    pub node: NodeId,
}

impl Run {
    /// Starts a workflow: its record and first tasks.
    pub fn start(plan: Arc<Plan>, request: StartRequest, context: &mut Context<'_>) -> (Self, Decision) {
        start::start(plan, request, context)
    }

    /// A run as it was stored. `tasks` are all its tasks, in any order. Costs one pass over them.
    #[must_use]
    pub fn load(plan: Arc<Plan>, workflow: WorkflowRecord, tasks: Vec<TaskRecord>) -> Self {
        let state = load::derive(&plan, &workflow, tasks);
        Self { plan, workflow, state }
    }

    /// Decides what `event` changes and applies it to this run in memory. When storing the decision fails, the run must
    /// be dropped and loaded again.
    ///
    /// # Errors
    /// A [`Refusal`] when the event does not fit; the run is then as it was.
    pub fn decide(&mut self, event: Event, context: &mut Context<'_>) -> Result<Decision, Refusal> {
        handle::event(self, event, context)
    }

    /// The workflow's record.
    #[must_use]
    pub fn workflow(&self) -> &WorkflowRecord {
        &self.workflow
    }

    /// One of its tasks.
    #[must_use]
    pub fn task(&self, id: TaskId) -> Option<&TaskRecord> {
        self.state.by_id.get(&id).map(|ix| self.record(*ix))
    }

    /// The definitions it runs by.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The newest attempt at the step with this reference.
    #[must_use]
    pub fn latest(&self, reference: &str) -> Option<&TaskRecord> {
        self.plan.find(reference).and_then(|node| self.latest_of(node))
    }

    /// All its tasks, by `seq`.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskRecord> {
        self.state.tasks.iter().map(|task| &task.record)
    }

    /// Its tasks that are not over, by `seq`.
    pub fn open_tasks(&self) -> impl Iterator<Item = &TaskRecord> {
        self.state.open.iter().map(|ix| self.record(*ix))
    }

    /// What the manager is to do for the task now: also after a start, for each open task whose record says `performing`.
    /// `None` = nothing, it is over or waits for somebody else.
    #[must_use]
    pub fn server_work(&self, task: TaskId) -> Option<ServerWork> {
        let record = self.task(task)?;
        debug_assert!(!record.performing, "no task type asks for it yet");
        None
    }

    /// Roughly how many bytes the run takes in memory, to bound the manager's cache. The plan is shared and not counted.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.state.weight
    }

    pub(crate) fn record(&self, ix: Ix) -> &TaskRecord {
        &self.state.tasks[ix.0 as usize].record
    }

    pub(crate) fn node_of(&self, ix: Ix) -> NodeId {
        self.state.tasks[ix.0 as usize].node
    }

    pub(crate) fn latest_of(&self, node: NodeId) -> Option<&TaskRecord> {
        self.state.latest.get(&node).map(|ix| self.record(*ix))
    }

    /// A step's input: its parameters resolved, and what they lack filled from the definition's template.
    ///
    /// # Errors
    /// When it becomes larger than a task's payload may be.
    pub(crate) fn resolve_input(&self, node: NodeId, own_id: TaskId) -> Result<Value, TooLarge> {
        let mut budget = Budget::new(TASK_PAYLOAD_BYTES_MAX);
        let scope = Scope { run: self, own_id: Some(own_id), own_input: None };
        let node = self.plan.node(node);
        let mut input = match node.input.resolve(&scope, &mut budget)? {
            Value::Object(map) => map,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
        };
        let template = node.input_template.as_ref().map(|template| template.resolve(&scope, &mut budget)).transpose()?;
        if let Some(Value::Object(template)) = template {
            for (key, value) in template {
                let filled = input.entry(key).or_insert(Value::Null);
                if filled.is_null() {
                    *filled = value;
                }
            }
        }
        Ok(Value::Object(input))
    }
}

impl State {
    /// Nothing but the workflow itself.
    pub fn of(workflow: &WorkflowRecord) -> Self {
        Self { weight: json_bytes(&workflow.input) + json_bytes(&workflow.output), ..Self::default() }
    }

    /// Adds a record and what the indices say of it, except what depends on how far the flow has come.
    pub fn add(&mut self, node: NodeId, record: TaskRecord) -> Ix {
        let ix = Ix(u32::try_from(self.tasks.len()).unwrap_or(u32::MAX));
        self.by_id.insert(record.id, ix);
        self.latest.insert(node, ix);
        if !record.status.is_terminal() {
            self.open.insert(ix);
        }
        self.weight += record_bytes(&record);
        self.tasks.push(Task { record, node });
        ix
    }
}

/// Roughly what a task's record and its places in the indices take.
fn record_bytes(record: &TaskRecord) -> usize {
    /// An entry in each of four maps, with their slack.
    const INDEX_BYTES: usize = 160;
    size_of::<Task>() + INDEX_BYTES + json_bytes(&record.input) + json_bytes(&record.output)
}

/// Roughly what a JSON value takes in memory.
pub(crate) fn json_bytes(value: &Value) -> usize {
    /// A node of a map, beside key and value.
    const ENTRY_BYTES: usize = 32;
    size_of::<Value>()
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(list) => list.iter().map(json_bytes).sum(),
            Value::Object(map) => map.iter().map(|(key, value)| ENTRY_BYTES + key.len() + json_bytes(value)).sum(),
        }
}
