//! One decision being made: the run, what was changed so far, and what is still to be followed up.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use conductor_model::{Outcome, TaskId, TaskRecord, TaskStatus, Timestamp, WorkflowStatus};
use serde_json::{Map, Value};

use crate::decision::{Decision, Effect, Feed, TaskChange};
use crate::event::{Context, Refusal};
use crate::plan::NodeId;
use crate::run::{Ix, Run, json_bytes};
use crate::{feed, flow, timer};

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
}

/// Something that follows from a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// The flow has come to a step.
    Schedule(NodeId),
    /// A task is over: try again, go on or end the workflow.
    Ended(Ix),
    /// A step is finished: the flow goes on behind it.
    Finished(NodeId),
}

/// How a task ends.
#[derive(Debug)]
pub(crate) struct Ending {
    pub status: TaskStatus,
    pub outcome: Outcome,
    pub reason: Option<String>,
    /// Replaces the output; `None` leaves it.
    pub output: Option<Value>,
    /// Whether the agent that has the task knows of it: otherwise it is told.
    pub agent_knows: bool,
    /// Whether the workflow ends with it at once, whatever the retry rules say and even if it is paused.
    pub ends_workflow: bool,
}

impl Ending {
    pub fn new(status: TaskStatus, outcome: Outcome) -> Self {
        Self { status, outcome, reason: None, output: None, agent_knows: false, ends_workflow: false }
    }

    /// The task cannot run, ever.
    pub fn refused(reason: String) -> Self {
        Self { reason: Some(reason), ..Self::new(TaskStatus::FailedWithTerminalError, Outcome::Refused) }
    }

    /// A timeout passed.
    pub fn timed_out(reason: String, ends_workflow: bool) -> Self {
        Self { reason: Some(reason), ends_workflow, ..Self::new(TaskStatus::TimedOut, Outcome::TimedOut) }
    }

    fn canceled(reason: String) -> Self {
        Self { reason: Some(reason), ..Self::new(TaskStatus::Canceled, Outcome::Cancelled) }
    }
}

impl<'r, 'c> Turn<'r, 'c> {
    pub fn new(run: &'r mut Run, context: &'r mut Context<'c>) -> Self {
        Self { run, context, changed: BTreeMap::new(), effects: Vec::new(), feed: Vec::new(), work: VecDeque::new() }
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

    /// A record for the first attempt at a step, not inserted yet.
    pub fn new_record(&mut self, node: NodeId) -> TaskRecord {
        let id = TaskId::generate(self.context.ids);
        let now = self.context.now;
        let workflow = &self.run.workflow;
        let node = self.run.plan.node(node);
        TaskRecord {
            id,
            workflow_id: workflow.id,
            tenant: workflow.tenant.clone(),
            seq: 0,
            reference: Arc::clone(&node.reference),
            task_type: node.step.task_type,
            definition_name: Arc::clone(&node.definition_name),
            status: TaskStatus::Scheduled,
            outcome: None,
            attempt: 0,
            retried_task_id: None,
            retried: false,
            iteration: 0,
            scheduled_at: now,
            first_scheduled_at: now,
            visible_at: now,
            started_at: None,
            ended_at: None,
            updated_at: now,
            callback_after_seconds: 0,
            poll_count: 0,
            worker_id: None,
            domain: flow::domain(&workflow.task_to_domain, &node.definition_name),
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
    pub fn insert(&mut self, node: NodeId, mut record: TaskRecord) -> Ix {
        record.seq = self.run.workflow.next_seq;
        self.run.workflow.next_seq = record.seq.saturating_add(1);
        let ix = self.run.state.add(node, record);
        self.changed.insert(ix, true);
        ix
    }

    /// Inserts a record that is complete at once; what follows from it is not drawn.
    pub fn insert_done(&mut self, node: NodeId, mut record: TaskRecord) {
        record.status = TaskStatus::Completed;
        record.outcome = Some(Outcome::Succeeded);
        record.started_at = Some(self.now());
        record.ended_at = Some(self.now());
        let ix = self.insert(node, record);
        self.tell(ix, "task.completed");
    }

    /// A record to change: it becomes part of the decision and is heard of now.
    pub fn change(&mut self, ix: Ix) -> &mut TaskRecord {
        self.changed.entry(ix).or_insert(false);
        let record = &mut self.run.state.tasks[ix.0 as usize].record;
        record.updated_at = self.context.now;
        record
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

    /// Ends a task. What follows is drawn later in this decision, or when the workflow goes on if it is paused.
    pub fn end_task(&mut self, ix: Ix, ending: Ending) {
        let ends_workflow = ending.ends_workflow;
        self.close(ix, ending);
        if ends_workflow {
            flow::fail(self, ix);
        } else if self.run.workflow.status == WorkflowStatus::Paused {
            self.run.state.pending.insert(ix);
        } else {
            self.push(Work::Ended(ix));
        }
    }

    /// Ends a task without following it up.
    fn close(&mut self, ix: Ix, ending: Ending) {
        let now = self.now();
        if let Some(output) = ending.output {
            self.set_output(ix, output);
        }
        let record = self.change(ix);
        record.status = ending.status;
        record.outcome = Some(ending.outcome);
        record.ended_at = Some(now);
        if ending.reason.is_some() {
            record.reason = ending.reason;
        } else if ending.status.is_successful() {
            // Kept from a failed attempt until now.
            record.reason = None;
        }
        let cancel = record.agent.as_ref().filter(|_| !ending.agent_knows).and_then(|agent| {
            let agent_id = agent.assigned.clone()?;
            let reason = record.reason.clone().unwrap_or_else(|| format!("the task is {}", record.status));
            Some(Effect::Cancel { task: record.id, dispatch: agent.dispatch, agent: agent_id, reason })
        });
        self.effects.extend(cancel);
        self.run.state.open.remove(&ix);
        if !ending.ends_workflow {
            self.give_way_to_optional(ix);
        }
        self.note_failure(ix);
        self.tell(ix, feed::ending(self.run.record(ix)));
    }

    /// A failed optional step that is not tried again lets the flow go on.
    pub fn give_way_to_optional(&mut self, ix: Ix) {
        let (record, node) = (self.run.record(ix), self.run.plan.node(self.run.node_of(ix)));
        let failed = record.status.is_terminal() && !record.status.is_successful();
        let optional = failed && node.step.optional && !self.run.workflow.status.is_terminal();
        if optional && !flow::retry_allowed(self.run, ix, self.now()) {
            self.change(ix).status = TaskStatus::CompletedWithErrors;
        }
    }

    /// Keeps the names of what failed.
    fn note_failure(&mut self, ix: Ix) {
        let record = &self.run.state.tasks[ix.0 as usize].record;
        if matches!(record.status, TaskStatus::Failed | TaskStatus::FailedWithTerminalError | TaskStatus::TimedOut) {
            let workflow = &mut self.run.workflow;
            if !workflow.failed_references.contains(&*record.reference) {
                workflow.failed_references.insert(record.reference.to_string());
            }
            if !workflow.failed_task_names.contains(&*record.definition_name) {
                workflow.failed_task_names.insert(record.definition_name.to_string());
            }
        }
    }

    /// A step that joins may wait for is finished or can no longer come.
    pub fn settle(&mut self, node: NodeId) {
        flow::settle(self, node);
    }

    /// Ends the workflow: nothing more is followed up, and what is open is canceled.
    pub fn end_workflow(&mut self, status: WorkflowStatus, reason: Option<String>) {
        self.work.clear();
        self.run.workflow.status = status;
        self.run.workflow.reason = reason;
        self.run.workflow.ended_at = Some(self.now());
        self.run.workflow.timer_at = None;
        for ix in std::mem::take(&mut self.run.state.open) {
            self.close(ix, Ending::canceled(format!("the workflow is {status}")));
        }
        self.run.state.missing.clear();
        self.run.state.pending.clear();
        self.set_workflow_output();
        self.tell_workflow(feed::workflow_ending(self.run.workflow.status));
    }

    /// Works out the output of a workflow that ends. One that is too large is left out, and nothing is a success without.
    fn set_workflow_output(&mut self) {
        match flow::output(self.run) {
            Ok(output) => {
                let weight = &mut self.run.state.weight;
                *weight = (*weight + json_bytes(&output)).saturating_sub(json_bytes(&self.run.workflow.output));
                self.run.workflow.output = Arc::new(output);
            }
            Err(error) if self.run.workflow.status == WorkflowStatus::Completed => {
                self.run.workflow.status = WorkflowStatus::Failed;
                self.run.workflow.reason = Some(format!("the workflow's output is left out: {error}"));
            }
            Err(_) => {}
        }
    }

    /// Draws everything that follows and makes the decision. The revision grows by one.
    pub fn decide(mut self) -> Decision {
        flow::follow_up(&mut self);
        let run = self.run;
        run.workflow.revision += 1;
        run.workflow.updated_at = self.context.now;
        let paused = run.workflow.status == WorkflowStatus::Paused;
        let mut tasks = Vec::with_capacity(self.changed.len());
        for (ix, inserted) in self.changed {
            let task = &mut run.state.tasks[ix.0 as usize];
            let definition = run.plan.node(task.node).definition.as_deref();
            task.record.timer_at = timer::next_due(&task.record, definition, paused);
            tasks.push(TaskChange { record: task.record.clone(), inserted });
        }
        Decision {
            workflow: Some(run.workflow.clone()),
            tasks,
            removed: Vec::new(),
            input_replaced: false,
            effects: self.effects,
            feed: self.feed,
        }
    }
}
