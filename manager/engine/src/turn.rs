//! One decision being made: the run, what was changed so far, and what is still to be followed up.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use conductor_model::{Snapshot, TaskDef, TaskId, TaskRecord, TaskStatus, Timestamp, WorkflowStatus};
use serde_json::{Map, Value};

use crate::decision::{Decision, Effect, Feed, TaskChange};
use crate::event::{Catalogue, Context, LocalTime, Refusal};
use crate::frame::Site;
use crate::plan::Kind;
use crate::run::Run;
use crate::state::{Ix, json_bytes};
use crate::{feed, flow, load, timer};

/// One decision being made. Nothing is changed before the event was found to fit.
pub(crate) struct Turn<'r, 'c> {
    pub run: &'r mut Run,
    context: &'r mut Context<'c>,
    /// Changed tasks; true = new.
    changed: BTreeMap<Ix, bool>,
    effects: Vec<Effect>,
    feed: Vec<Feed>,
    /// What is to be followed up, in order.
    work: VecDeque<Work>,
    removed: Vec<TaskId>,
    /// Other definitions that the workflow goes on with.
    pub snapshot: Option<Arc<Snapshot>>,
    /// Whether the workflow's input changed.
    pub input_replaced: bool,
    /// A step that gets another input than its parameters say.
    pub input_override: Option<(Site, Map<String, Value>)>,
}

/// Something that follows from a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// The flow has come to a step.
    Schedule(Site),
    /// A task is over: try again, go on or end the workflow.
    Ended(Ix),
}

impl<'r, 'c> Turn<'r, 'c> {
    pub fn new(run: &'r mut Run, context: &'r mut Context<'c>) -> Self {
        Self {
            run,
            context,
            changed: BTreeMap::new(),
            effects: Vec::new(),
            feed: Vec::new(),
            work: VecDeque::new(),
            removed: Vec::new(),
            snapshot: None,
            input_replaced: false,
            input_override: None,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.context.now
    }

    pub fn jitter(&self) -> f64 {
        self.context.jitter
    }

    /// A task of this run.
    pub fn find(&self, task: TaskId) -> Result<Ix, Refusal> {
        self.run.state.by_id.get(&task).copied().ok_or(Refusal::UnknownTask { task })
    }

    /// A task of this run that is not over.
    pub fn find_open(&self, task: TaskId) -> Result<Ix, Refusal> {
        let ix = self.find(task)?;
        let status = self.run.record(ix).status;
        if status.is_terminal() { Err(Refusal::TaskOver { task, status }) } else { Ok(ix) }
    }

    /// Refuses unless the workflow is running.
    pub fn expect_running(&self) -> Result<(), Refusal> {
        if self.run.workflow.status == WorkflowStatus::Running { Ok(()) } else { Err(self.workflow_refusal()) }
    }

    /// Refuses if the workflow is over.
    pub fn expect_not_over(&self) -> Result<(), Refusal> {
        if self.run.workflow.status.is_terminal() { Err(self.workflow_refusal()) } else { Ok(()) }
    }

    /// Refuses unless the workflow is over.
    pub fn expect_over(&self) -> Result<(), Refusal> {
        if self.run.workflow.status.is_terminal() { Ok(()) } else { Err(self.workflow_refusal()) }
    }

    pub fn workflow_refusal(&self) -> Refusal {
        Refusal::WorkflowStatus { workflow: self.run.workflow.id, status: self.run.workflow.status }
    }

    pub fn push(&mut self, work: Work) {
        self.work.push_back(work);
    }

    pub fn next_work(&mut self) -> Option<Work> {
        self.work.pop_front()
    }

    pub fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Tells of a task as it stands now.
    pub fn tell(&mut self, ix: Ix, kind: &'static str) {
        self.feed.push(feed::task(kind, self.run.record(ix)));
    }

    /// Tells of the workflow as it stands now.
    pub fn tell_workflow(&mut self, kind: &'static str) {
        self.feed.push(feed::workflow(kind, &self.run.workflow));
    }

    /// Raises an alert.
    pub fn alert(&mut self, task: Option<Ix>, message: String) {
        let id = task.map(|ix| self.run.record(ix).id);
        self.feed.push(feed::alert(task.map(|ix| self.run.record(ix)), &message));
        self.effects.push(Effect::Alert { task: id, message });
    }

    /// What the engine may look up.
    pub fn catalogue(&self) -> &dyn Catalogue {
        self.context.catalogue
    }

    /// A record for the first attempt at a step, not inserted yet.
    pub fn new_record(&mut self, site: Site) -> TaskRecord {
        let id = TaskId::generate(self.context.ids);
        let now = self.context.now;
        let workflow = &self.run.workflow;
        let node = self.run.node(site);
        // A loop counts its own rounds.
        let iteration = if matches!(node.kind, Kind::Loop { .. }) { 0 } else { self.run.frames.get(site.frame).round };
        TaskRecord {
            id,
            workflow_id: workflow.id,
            tenant: workflow.tenant.clone(),
            seq: 0,
            reference: self.run.frames.reference(site),
            task_type: node.step.task_type,
            definition_name: Arc::clone(&node.definition_name),
            status: TaskStatus::Scheduled,
            outcome: None,
            attempt: 0,
            retried_task_id: None,
            retried: false,
            iteration,
            scheduled_at: now,
            first_scheduled_at: now,
            visible_at: now,
            started_at: None,
            first_started_at: None,
            ended_at: None,
            updated_at: now,
            callback_after_seconds: 0,
            poll_count: 0,
            worker_id: None,
            domain: flow::domain(&workflow.task_to_domain, &node.definition_name, self.context.catalogue),
            priority: workflow.priority,
            input: Arc::new(Value::Object(Map::new())),
            output: Arc::new(Value::Object(Map::new())),
            reason: None,
            agent: None,
            timer_at: None,
            alerted_at: None,

            executed: false,
            performing: false,
            turn: 0,
            due_at: None,
            sub_workflow_id: None,
            definition: None,
        }
    }

    /// Inserts a record, giving it the next sequence number.
    pub fn insert(&mut self, site: Site, mut record: TaskRecord) -> Ix {
        record.seq = self.run.workflow.take_seq();
        let ix = self.run.state.add(&self.run.frames, site, record);
        self.changed.insert(ix, true);
        ix
    }

    /// A record to change: it becomes part of the decision and is heard of now.
    pub fn change(&mut self, ix: Ix) -> &mut TaskRecord {
        self.changed.entry(ix).or_insert(false);
        let record = self.run.state.record_mut(ix);
        record.updated_at = self.context.now;
        record
    }

    /// As [`Self::change`], without having heard of it.
    pub fn note(&mut self, ix: Ix) -> &mut TaskRecord {
        self.changed.entry(ix).or_insert(false);
        self.run.state.record_mut(ix)
    }

    /// Replaces a task's output.
    pub fn set_output(&mut self, ix: Ix, output: Value) {
        let new = json_bytes(&output);
        let record = self.change(ix);
        let old = json_bytes(&record.output);
        record.output = Arc::new(output);
        let weight = &mut self.run.state.weight;
        *weight = weight.saturating_add(new).saturating_sub(old);
    }

    /// A task begins: it is in progress from now on.
    pub fn start(&mut self, ix: Ix) {
        let now = self.now();
        let record = self.change(ix);
        record.status = TaskStatus::InProgress;
        record.due_at = None;
        record.callback_after_seconds = 0;
        record.started_at.get_or_insert(now);
    }

    /// Asks the manager to do what the task's type says. What comes of earlier turns does not count any more.
    pub fn perform(&mut self, ix: Ix) {
        self.start(ix);
        let record = self.change(ix);
        record.performing = true;
        record.turn = record.turn.saturating_add(1);
        let (task, turn) = (record.id, record.turn);
        self.effects.push(Effect::Perform { task, turn });
    }

    /// A task is in progress and waits for a word from outside.
    pub fn wait_for_update(&mut self, ix: Ix) {
        self.start(ix);
        self.tell(ix, "task.started");
    }

    /// Takes tasks out that are over.
    pub fn remove(&mut self, tasks: impl IntoIterator<Item = Ix>) {
        for ix in tasks {
            let id = self.run.record(ix).id;
            self.run.state.remove(&self.run.frames, ix);
            // Its number is not given out again.
            self.run.workflow.must_be_stored();
            // One that this decision made was never stored.
            if self.changed.remove(&ix) != Some(true) {
                self.removed.push(id);
            }
        }
    }

    /// Nothing more follows.
    pub fn forget_work(&mut self) {
        self.work.clear();
    }

    /// The definition of a task that is only found now.
    pub fn look_up(&self, name: &str) -> Option<Arc<TaskDef>> {
        self.context.catalogue.task_definition(name)
    }

    /// A moment of a clock on the wall of a zone.
    pub fn moment_in_zone(&self, zone: &str, local: LocalTime) -> Option<Timestamp> {
        self.context.catalogue.moment_in_zone(zone, local)
    }

    /// Draws everything that follows and makes the decision. The revision grows by one when the workflow itself changed.
    pub fn decide(mut self) -> Decision {
        flow::follow_up(&mut self);
        let run = self.run;
        let workflow = run.workflow.settle(self.context.now);
        let paused = run.workflow.status == WorkflowStatus::Paused;
        let mut tasks = Vec::with_capacity(self.changed.len());
        for (ix, inserted) in self.changed {
            let timer_at = timer::next_due(run.record(ix), run.definition(ix), paused);
            let record = run.state.record_mut(ix);
            record.timer_at = timer_at;
            tasks.push(TaskChange { record: record.clone(), inserted });
        }
        if run.state.sparse() {
            let records = std::mem::take(&mut run.state).into_records();
            *run = load::load(Arc::clone(&run.plan), run.workflow.clone(), records);
        }
        Decision {
            workflow,
            tasks,
            removed: self.removed,
            snapshot: self.snapshot,
            input_replaced: self.input_replaced,
            effects: self.effects,
            feed: self.feed,
        }
    }
}
