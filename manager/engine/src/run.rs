//! One workflow in memory.

use std::sync::Arc;

use conductor_model::limits::TASK_PAYLOAD_BYTES_MAX;
use conductor_model::{TaskDef, TaskId, TaskRecord, WorkflowRecord, WorkflowTask};
use serde_json::{Map, Value};

use crate::decision::Decision;
use crate::document::Scope;
use crate::event::{Context, Event, Refusal, StartRequest};
use crate::expression::{Budget, Template, Unresolved};
use crate::frame::{Frames, Site};
use crate::kept::Kept;
use crate::plan::{Node, Plan};
use crate::state::{Ix, State};
use crate::task_type::{self, do_while};
use crate::work::ServerWork;
use crate::{handle, load, start};

/// One workflow in memory: its record, its tasks, and what is worked out from the records.
#[derive(Debug)]
pub struct Run {
    pub(crate) plan: Arc<Plan>,
    pub(crate) workflow: Kept,
    pub(crate) frames: Frames,
    pub(crate) state: State,
}

impl Run {
    /// Starts a workflow: its record and first tasks.
    pub fn start(plan: Arc<Plan>, request: StartRequest, context: &mut Context<'_>) -> (Self, Decision) {
        start::start(plan, request, context)
    }

    /// A run as it was stored. `tasks` are all its tasks, in any order. Costs one pass over them.
    #[must_use]
    pub fn load(plan: Arc<Plan>, workflow: WorkflowRecord, tasks: Vec<TaskRecord>) -> Self {
        load::load(plan, workflow, tasks)
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

    /// The newest attempt at the step with this reference. Of a step in a loop without the number of its round, that of
    /// the newest round.
    #[must_use]
    pub fn latest(&self, reference: &str) -> Option<&TaskRecord> {
        if let Some(ix) = self.state.by_name(reference) {
            return Some(self.record(ix));
        }
        self.plan.find(reference).and_then(|node| self.latest_of(Site::root(node)))
    }

    /// The step of a task, as it was defined.
    #[must_use]
    pub fn step_of(&self, task: TaskId) -> Option<&Arc<WorkflowTask>> {
        self.state.by_id.get(&task).map(|ix| &self.node(self.site(*ix)).step)
    }

    /// What a task runs by.
    #[must_use]
    pub fn definition_of(&self, task: TaskId) -> Option<&TaskDef> {
        self.state.by_id.get(&task).and_then(|ix| self.definition(*ix))
    }

    /// All its tasks, by `seq`.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskRecord> {
        self.state.all().map(|(_, record)| record)
    }

    /// Its tasks that are not over, by `seq`.
    pub fn open_tasks(&self) -> impl Iterator<Item = &TaskRecord> {
        self.state.open.iter().map(|ix| self.record(*ix))
    }

    /// What the manager is to do for the task now: also after a start, for each open task whose record says `performing`.
    /// `None` = nothing, it is over or waits for somebody else.
    #[must_use]
    pub fn server_work(&self, task: TaskId) -> Option<ServerWork> {
        let ix = *self.state.by_id.get(&task)?;
        let record = self.record(ix);
        (record.performing && !record.status.is_terminal())
            .then(|| (task_type::of(self.node(self.site(ix)).step.task_type).work)(self, ix))
            .flatten()
    }

    /// Roughly how many bytes the run takes in memory, to bound the manager's cache. The plan is shared and not counted.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.state.weight
    }

    pub(crate) fn record(&self, ix: Ix) -> &TaskRecord {
        self.state.record(ix)
    }

    pub(crate) fn site(&self, ix: Ix) -> Site {
        self.state.site(ix)
    }

    pub(crate) fn node(&self, site: Site) -> &Node {
        self.frames.node(site)
    }

    /// The plan that a step belongs to, to be held while the run changes.
    pub(crate) fn plan_of(&self, site: Site) -> Arc<Plan> {
        Arc::clone(&self.frames.get(site.frame).plan)
    }

    /// What a task runs by.
    pub(crate) fn definition(&self, ix: Ix) -> Option<&TaskDef> {
        self.record(ix).definition.as_deref().or_else(|| self.node(self.site(ix)).definition.as_deref())
    }

    pub(crate) fn latest_of(&self, site: Site) -> Option<&TaskRecord> {
        self.state.latest.get(&site).map(|ix| self.record(*ix))
    }

    /// A step's input: its parameters resolved, and what they lack filled from the definition's template.
    ///
    /// # Errors
    /// When it becomes larger than a task's payload may be, or an expression of the step finds nothing and must.
    pub(crate) fn resolve_input(&self, site: Site, own_id: TaskId) -> Result<Map<String, Value>, Unresolved> {
        let mut budget = Budget::new(TASK_PAYLOAD_BYTES_MAX).strict(self.is_strict());
        let scope = Scope { run: self, own_id: Some(own_id), own_input: None };
        let node = self.node(site);
        let own = node.input.resolve(&scope, &mut budget).map_err(|error| error.below("inputParameters"))?;
        let mut input = match own {
            Value::Object(map) => map,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
        };
        // The task definition's own: it serves workflows that are not strict, and fills only what is not there.
        let mut budget = budget.strict(false);
        let template = node.input_template.as_ref().map(|template| template.resolve(&scope, &mut budget)).transpose()?;
        if let Some(Value::Object(template)) = template {
            fill(&mut input, template);
        }
        if !site.is_root()
            && let Some((index, item)) = do_while::item_of(self, site)
        {
            budget.take(item)?;
            input.entry("loopItem").or_insert_with(|| item.clone());
            input.entry("loopIndex").or_insert_with(|| index.into());
        }
        Ok(input)
    }

    /// A text beside the input, resolved; `None` = the step has none.
    ///
    /// # Errors
    /// When it becomes larger than a task's payload may be, or an expression in it finds nothing and must.
    pub(crate) fn resolve_text(&self, site: Site, field: &str, own_id: TaskId) -> Result<Option<Value>, Unresolved> {
        let scope = Scope { run: self, own_id: Some(own_id), own_input: None };
        let template = self.node(site).text(field);
        let mut budget = Budget::new(TASK_PAYLOAD_BYTES_MAX).strict(self.is_strict());
        let resolve = |template: &Template| template.resolve(&scope, &mut budget).map_err(|error| error.below(field));
        template.map(resolve).transpose()
    }

    /// Whether expressions must find something.
    pub(crate) fn is_strict(&self) -> bool {
        self.plan.snapshot().workflow.strict_expressions
    }
}

/// Fills what is absent or null.
pub(crate) fn fill(input: &mut Map<String, Value>, template: Map<String, Value>) {
    for (key, value) in template {
        let filled = input.entry(key).or_insert(Value::Null);
        if filled.is_null() {
            *filled = value;
        }
    }
}
