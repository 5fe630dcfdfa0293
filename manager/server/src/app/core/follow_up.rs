//! What one workflow's decision means for others: workflows that start, end, retry or wait for workflows.
//!
//! It is worked through from a queue, in the same batch as the decision that it follows from, so that there is nothing to
//! recover: either all of it is stored or none. Chains are bounded: a workflow can be nested so deep
//! ([`NESTING_MAX`]), and one event can start so many others ([`STARTS_PER_EVENT_MAX`], [`CHAIN_MAX`]).

use std::collections::VecDeque;
use std::sync::Arc;

use conductor_engine::{ChildOrder, Event, Plan, PlanError, Refusal, StartRequest};
use conductor_model::{IdempotencyStrategy, TaskId, TenantName, WorkflowDef, WorkflowId};
use conductor_store::StoreError;
use serde_json::{Map, Value, json};

use super::commands::Fit;
use super::message::{Announcement, CommandError};
use super::{Core, DecideError};
use crate::app::definitions::compile;

/// Sub-workflows inside each other at most.
pub(crate) const NESTING_MAX: usize = 32;
/// Workflows that start each other without anything else happening in between, at most.
const CHAIN_MAX: usize = 64;
/// Workflows that one event can lead to at most.
const STARTS_PER_EVENT_MAX: usize = 50_000;
/// Compiled definitions that are kept by name at most.
const PLANS_BY_NAME_MAX: usize = 512;

/// Something that follows from a decision.
#[derive(Debug)]
pub(super) enum FollowUp {
    /// Start a workflow for a task, or because the workflow failed.
    Start { from: WorkflowId, task: Option<TaskId>, order: Box<ChildOrder>, chain: usize },
    /// End a workflow that nobody waits for any more.
    Terminate { workflow: WorkflowId, reason: String },
    /// Retry a workflow that a task waits for again.
    Retry { from: WorkflowId, task: TaskId, workflow: WorkflowId },
    /// A workflow is over: tell the tasks that wait for it.
    Ended { workflow: WorkflowId },
    /// A workflow that was over goes on: tell the task that waited for it.
    Revived { workflow: WorkflowId },
    /// A workflow that was held back has its turn.
    Admit { workflow: WorkflowId },
}

/// What is to be followed up.
#[derive(Debug, Default)]
pub(super) struct FollowUps {
    queue: VecDeque<FollowUp>,
    /// Whether the queue is being worked through.
    busy: bool,
    /// How many workflows started each other, up to the one that is being decided on.
    chain: usize,
    /// Workflows started since the queue was last empty.
    starts: usize,
}

impl FollowUps {
    /// Notes something to follow up.
    pub(super) fn push(&mut self, follow_up: FollowUp) {
        self.queue.push_back(follow_up);
    }

    /// Notes an order to start a workflow.
    pub(super) fn order(&mut self, from: WorkflowId, task: Option<TaskId>, order: Box<ChildOrder>) {
        let chain = self.chain + 1;
        self.push(FollowUp::Start { from, task, order, chain });
    }
}

/// A workflow that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Launched {
    /// It is new.
    New(WorkflowId),
    /// The idempotency key leads to an earlier one.
    Earlier(WorkflowId),
}

impl Launched {
    pub(super) fn id(self) -> WorkflowId {
        match self {
            Self::New(id) | Self::Earlier(id) => id,
        }
    }
}

/// Why a workflow that another one ordered was not started.
#[derive(Debug)]
struct Unstarted {
    /// For people.
    reason: String,
    /// Whether another attempt would be refused for the same reason.
    terminal: bool,
}

impl From<String> for Unstarted {
    fn from(reason: String) -> Self {
        Self { reason, terminal: false }
    }
}

impl Core {
    /// Works through all that follows from what was decided. Does nothing when that is being done already.
    pub(super) fn follow_up(&mut self) {
        if self.follow_ups.busy {
            return;
        }
        self.follow_ups.busy = true;
        self.follow_ups.starts = 0;
        while let Some(follow_up) = self.follow_ups.queue.pop_front() {
            self.follow_ups.chain = 0;
            match follow_up {
                FollowUp::Start { from, task, order, chain } => {
                    self.follow_ups.chain = chain;
                    self.start_for(from, task, *order);
                }
                FollowUp::Terminate { workflow, reason } => {
                    self.feed(workflow, Event::Terminate { reason: Some(reason) });
                }
                FollowUp::Retry { from, task, workflow } => self.retry_for(from, task, workflow),
                FollowUp::Ended { workflow } => self.tell_end(workflow),
                FollowUp::Revived { workflow } => self.tell_revival(workflow),
                FollowUp::Admit { workflow } => self.feed(workflow, Event::Admitted),
            }
        }
        self.follow_ups.busy = false;
        self.follow_ups.chain = 0;
    }

    /// Feeds an event that follows from another decision. When the store cannot be read for it, the whole batch is given up:
    /// half of what follows must not be stored.
    fn feed(&mut self, workflow: WorkflowId, event: Event) {
        match self.decide(workflow, event) {
            Ok(_) => {}
            Err(DecideError::Store(error)) => self.give_up(error),
            Err(refused) => tracing::debug!(%workflow, %refused, "what follows changes nothing"),
        }
    }

    fn give_up(&mut self, error: StoreError) {
        tracing::error!(%error, "what follows from a decision cannot be decided; nothing of it is stored");
        self.failed.get_or_insert(error);
    }

    /// Starts a workflow that another one ordered, and tells the task that did.
    fn start_for(&mut self, from: WorkflowId, task: Option<TaskId>, order: ChildOrder) {
        let waits = order.parent.is_some();
        let name = order.name.clone();
        match (self.launch_child(from, order), task) {
            (Ok(launched), Some(task)) => {
                let workflow = launched.id();
                self.feed(from, Event::ChildStarted { task, workflow });
                if waits && let Launched::Earlier(earlier) = launched {
                    self.tell_end_if_over(earlier, from, task);
                }
            }
            (Ok(_), None) => {}
            (Err(Unstarted { reason, terminal }), Some(task)) => {
                self.feed(from, Event::ChildRefused { task, reason, terminal });
            }
            (Err(unstarted), None) => self.alert_unstarted(from, &name, &unstarted.reason),
        }
    }

    fn launch_child(&mut self, from: WorkflowId, order: ChildOrder) -> Result<Launched, Unstarted> {
        let Some(starter) = self.runs.peek(from) else { return Err("the workflow that starts it is gone".to_owned().into()) };
        let (tenant, created_by) = (starter.workflow().tenant.clone(), starter.workflow().created_by.clone());
        if self.follow_ups.chain > CHAIN_MAX {
            return Err(format!("more than {CHAIN_MAX} workflows started each other with no other step between them").into());
        }
        self.follow_ups.starts += 1;
        if self.follow_ups.starts > STARTS_PER_EVENT_MAX {
            return Err(format!("more than {STARTS_PER_EVENT_MAX} workflows would be started at once").into());
        }
        if order.parent.is_some() && self.nesting_of(from)? >= NESTING_MAX {
            return Err(format!("sub-workflows are nested more than {NESTING_MAX} deep").into());
        }
        let plan = self.plan_for(&tenant, &order.name, order.version, order.definition)?;
        let (idempotency_key, idempotency) = order.idempotency.unzip();
        let request = StartRequest {
            id: order.id,
            tenant,
            input: order.input,
            correlation_id: order.correlation_id,
            idempotency_key,
            priority: order.priority,
            task_to_domain: order.task_to_domain,
            created_by,
            parent: order.parent,
            event: None,
            rate_limit_key: None,
            rate_limited: false,
        };
        let idempotency = idempotency.unwrap_or(IdempotencyStrategy::Fail);
        self.launch(plan, request, idempotency, Fit::Unchecked).map_err(|error| {
            if let CommandError::NotStored(error) = &error {
                self.give_up(error.clone());
            }
            // The next attempt would have the same input.
            Unstarted { terminal: matches!(error, CommandError::InputUnfit { .. }), reason: error.to_string() }
        })
    }

    /// How many workflows a workflow is inside of.
    fn nesting_of(&mut self, workflow: WorkflowId) -> Result<usize, String> {
        let mut depth = 1;
        let mut at = workflow;
        while depth <= NESTING_MAX {
            let run = self.runs.get(at, self.store.as_ref(), self.batch_number);
            let run = run.map_err(|error| error.to_string())?;
            match run.and_then(|run| run.workflow().parent_workflow_id) {
                Some(parent) => at = parent,
                None => return Ok(depth),
            }
            depth += 1;
        }
        Ok(depth)
    }

    /// The compiled definitions of a workflow to start now. The error is for people.
    pub(super) fn plan_for(
        &mut self,
        tenant: &TenantName,
        name: &str,
        version: Option<i32>,
        given: Option<Arc<WorkflowDef>>,
    ) -> Result<Arc<Plan>, String> {
        if let Some(definition) = given {
            return self.compiled(tenant, WorkflowDef::clone(&definition));
        }
        let key = (tenant.clone(), name.to_owned(), version);
        if let Some(plan) = self.plans_by_name.get(&key) {
            return Ok(Arc::clone(plan));
        }
        let found = self.store.workflow_def(tenant, name, version).map_err(|error| error.to_string())?;
        let Some(definition) = found else {
            let version = version.map_or_else(String::new, |version| format!(" version {version}"));
            return Err(format!("there is no workflow definition {name}{version}"));
        };
        let plan = self.compiled(tenant, definition)?;
        if self.plans_by_name.len() >= PLANS_BY_NAME_MAX {
            self.plans_by_name.clear();
        }
        self.plans_by_name.insert(key, Arc::clone(&plan));
        Ok(plan)
    }

    fn compiled(&self, tenant: &TenantName, definition: WorkflowDef) -> Result<Arc<Plan>, String> {
        let name = definition.name.clone();
        match compile(self.store.as_ref(), tenant, definition) {
            Ok(Ok(plan)) => Ok(Arc::new(plan)),
            Ok(Err(PlanError::Invalid(faults))) => {
                let faults: Vec<_> = faults.iter().map(|fault| format!("{} {}", fault.path, fault.message)).collect();
                Err(format!("workflow definition {name} cannot run: {}", faults.join("; ")))
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Nobody hears of a failure workflow that could not be started but through the feed and the log.
    fn alert_unstarted(&mut self, from: WorkflowId, name: &str, reason: &str) {
        self.metrics.alerts.inc();
        tracing::warn!(workflow = %from, "failure workflow {name} was not started: {reason}");
        let Some(tenant) = self.runs.peek(from).map(|run| run.workflow().tenant.clone()) else { return };
        let data = json!({ "workflowId": from, "message": format!("failure workflow {name} was not started: {reason}") });
        self.announce(Announcement { tenant, kind: "workflow.alert", task: None, agent: None, data });
    }

    fn retry_for(&mut self, from: WorkflowId, task: TaskId, workflow: WorkflowId) {
        let refused = match self.room_to_go_on(workflow) {
            Err(full) => full.to_string(),
            Ok(()) => match self.decide(workflow, Event::Retry { resume_subworkflows: true }) {
                Ok(_) => return,
                // Somebody has revived it already: its end will be heard of.
                Err(DecideError::Refused(Refusal::WorkflowStatus { status, .. })) if !status.is_terminal() => return,
                Err(error) => error.to_string(),
            },
        };
        let reason = format!("workflow {workflow} cannot be retried: {refused}");
        self.feed(from, Event::ChildRefused { task, reason, terminal: false });
    }

    /// Tells every task that waits for a workflow how it ended.
    fn tell_end(&mut self, workflow: WorkflowId) {
        for (task, waiting) in self.index.watchers(workflow) {
            self.tell_end_if_over(workflow, waiting, task);
        }
    }

    fn tell_end_if_over(&mut self, workflow: WorkflowId, waiting: WorkflowId, task: TaskId) {
        let ended = match self.runs.get(workflow, self.store.as_ref(), self.batch_number) {
            Ok(Some(run)) => run.workflow(),
            Ok(None) => return,
            Err(error) => {
                self.give_up(error);
                return;
            }
        };
        if !ended.status.is_terminal() {
            return;
        }
        let (status, reason) = (ended.status, ended.reason.clone());
        let output = match &*ended.output {
            Value::Object(output) => output.clone(),
            Value::Null => Map::new(),
            other => Map::from_iter([("output".to_owned(), other.clone())]),
        };
        self.feed(waiting, Event::ChildEnded { task, workflow, status, output, reason });
    }

    /// Tells the task that waited for a workflow that it goes on again.
    fn tell_revival(&mut self, workflow: WorkflowId) {
        let Some(record) = self.runs.peek(workflow).map(conductor_engine::Run::workflow) else { return };
        if let (Some(parent), Some(task)) = (record.parent_workflow_id, record.parent_task_id) {
            self.feed(parent, Event::ChildRevived { task });
        }
    }
}
