//! Starting, controlling and updating workflows.

use std::cell::RefCell;
use std::sync::Arc;

use conductor_engine::{Context, Event, Plan, Refusal, Run, Sealed, StartRequest, WorkerUpdate};
use conductor_model::{AgentId, IdempotencyStrategy, TaskId, TenantName, WorkflowId, WorkflowStatus};
use serde_json::{Map, Value};

use super::follow_up::Launched;
use super::message::{Answer, CommandError, HandedOver, Reply, StartKey, StartOrder, UpdateOrder};
use super::rerunning::Replaced;
use super::{AsItIsNow, Core, DecideError};

/// Whether the input of a workflow to start is known to fit the schema of its definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It is: who asked from outside was told of every fault before, off the deciding thread.
    Checked,
    /// Nobody looked yet: the manager itself starts it.
    Unchecked,
}

impl Core {
    /// Starts a workflow, unless its idempotency key is taken.
    pub(super) fn start(&mut self, order: StartOrder) {
        let StartOrder { plan, request, idempotency, reply } = order;
        match self.launch(plan, request, idempotency, Fit::Checked) {
            Ok(launched) => {
                self.follow_up();
                self.building.reply(reply, launched.id());
            }
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    /// Starts a workflow unless its idempotency key, its input or a limit stands against it: every run begins here. What
    /// follows from its first steps is not followed up yet.
    pub(super) fn launch(
        &mut self,
        plan: Arc<Plan>,
        mut request: StartRequest,
        idempotency: IdempotencyStrategy,
        fit: Fit,
    ) -> Result<Launched, CommandError> {
        let id = request.id;
        let key = request.idempotency_key.clone().map(|key| {
            let name = plan.snapshot().workflow.name.clone();
            StartKey { tenant: request.tenant.clone(), name, key }
        });
        if let Some(key) = &key
            && let Some((holder, over)) = self.holder_of(key).map_err(CommandError::NotStored)?
        {
            match idempotency {
                IdempotencyStrategy::ReturnExisting => return Ok(Launched::Earlier(holder)),
                IdempotencyStrategy::FailOnRunning if over => {}
                IdempotencyStrategy::Fail | IdempotencyStrategy::FailOnRunning => {
                    return Err(CommandError::KeyUsed { key: key.key.clone(), holder });
                }
            }
        }
        if fit == Fit::Unchecked {
            self.check_input(&plan, &request.tenant, &request.input)?;
        }
        self.line_up(&plan, &mut request)?;
        if let Some(key) = key {
            self.starting_keys.insert(key, (id, self.batch_number));
        }
        self.runs.remember_plan(&plan);
        let snapshot = Arc::clone(plan.snapshot());
        let tenant = request.tenant.clone();
        let catalogue = AsItIsNow { store: self.store.as_ref(), polling: &self.polling, tenant, now: self.now };
        let mut context = Context { now: self.now, jitter: self.world.chance(), ids: self.world.ids(), catalogue: &catalogue };
        let (run, decision) = Run::start(plan, request, &mut context);
        let tenant = catalogue.tenant;
        self.metrics.workflows_started.inc();
        self.runs.insert(run, self.batch_number);
        self.apply(id, &tenant, None, Some(snapshot), decision);
        Ok(Launched::New(id))
    }

    fn check_input(&self, plan: &Plan, tenant: &TenantName, input: &Map<String, Value>) -> Result<(), CommandError> {
        let tenant = tenant.clone();
        let catalogue = AsItIsNow { store: self.store.as_ref(), polling: &self.polling, tenant, now: self.now };
        let Some(fault) = plan.input_fault(input, &catalogue) else { return Ok(()) };
        Err(CommandError::InputUnfit { name: plan.snapshot().workflow.name.clone(), fault })
    }

    /// Checks an input that a rerun brings, and that of a workflow which begins anew by a newer definition.
    fn check_input_of(&self, tenant: &TenantName, workflow: WorkflowId, event: &Event) -> Result<(), CommandError> {
        let Some(run) = self.runs.peek(workflow) else { return Ok(()) };
        match event {
            Event::Rerun { workflow_input: Some(input), .. } => self.check_input(run.plan(), tenant, input),
            Event::Restart { plan: Some(newer) } => match run.workflow().input.as_object() {
                Some(input) => self.check_input(newer, tenant, input),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// The newest run that was started with a key, and whether it is over.
    fn holder_of(&self, key: &StartKey) -> Result<Option<(WorkflowId, bool)>, conductor_store::StoreError> {
        if let Some(&(id, _)) = self.starting_keys.get(key) {
            let over = self.runs.peek(id).is_none_or(|run| run.workflow().status.is_terminal());
            return Ok(Some((id, over)));
        }
        let stored = self.store.workflow_by_idempotency_key(&key.tenant, &key.name, &key.key)?;
        Ok(stored.map(|workflow| {
            let status = self.runs.peek(workflow.id).map_or(workflow.status, |run| run.workflow().status);
            (workflow.id, status.is_terminal())
        }))
    }

    /// Pauses, resumes or terminates. What is already so is answered well.
    pub(super) fn control(&mut self, tenant: &TenantName, workflow: WorkflowId, event: Event, reply: Reply<()>) {
        let status = match self.status_for(tenant, workflow) {
            Ok(status) => status,
            Err(error) => {
                let _ = reply.send(Err(error));
                return;
            }
        };
        let already = matches!(
            (&event, status),
            (Event::Pause, WorkflowStatus::Paused)
                | (Event::Terminate { .. } | Event::TerminateAsFailed { .. }, WorkflowStatus::Terminated)
        );
        if already {
            return self.building.reply(reply, ());
        }
        if matches!(event, Event::Retry { .. } | Event::Restart { .. } | Event::Rerun { .. })
            && let Err(error) = self.room_to_go_on(workflow).and_then(|()| self.check_input_of(tenant, workflow, &event))
        {
            let _ = reply.send(Err(error));
            return;
        }
        let event = match event {
            Event::Rerun { from: Some(from), task_input, workflow_input, correlation_id } if !self.has_task(workflow, from) => {
                let replaced = Replaced { task_input, workflow_input, correlation_id };
                return self.rerun_within(tenant, workflow, from, replaced, reply);
            }
            own => own,
        };
        let resumes = matches!(event, Event::Resume);
        match self.decide(workflow, event) {
            Ok(_) => {
                if resumes {
                    self.observe_open_tasks(workflow);
                }
                self.building.reply(reply, ());
            }
            Err(error) => {
                let _ = reply.send(Err(command_error(error, workflow)));
            }
        }
    }

    /// After a resume: what was parked while the workflow was paused goes back to where it waits.
    fn observe_open_tasks(&mut self, workflow: WorkflowId) {
        let Some(run) = self.runs.peek(workflow) else { return };
        for task in run.open_tasks() {
            self.index.observe(task, self.now);
        }
    }

    /// A worker reports, and may be handed the next task in the same turn. On a task that is over, the report is accepted
    /// and dropped.
    pub(super) fn update(&mut self, order: UpdateOrder) {
        let UpdateOrder { tenant, update, claimed, next_for, reply } = order;
        let task = update.task;
        match self.apply_update(&tenant, update, claimed) {
            Ok(workflow) => {
                let next = workflow.zip(next_for).and_then(|(workflow, worker)| self.next_like(workflow, task, &worker));
                self.building.reply(reply, next);
            }
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    /// The workflow, where the report could change something.
    fn apply_update(
        &mut self,
        tenant: &TenantName,
        update: WorkerUpdate,
        claimed: Option<String>,
    ) -> Result<Option<WorkflowId>, CommandError> {
        let task = update.task;
        let Some(workflow) = self.workflow_of_task(tenant, task)? else { return Ok(None) };
        if let Some(claimed) = claimed.filter(|claimed| *claimed != workflow.to_string()) {
            return Err(CommandError::WorkflowMismatch { claimed, task, workflow });
        }
        if self.runs.peek(workflow).and_then(|run| run.task(task)).is_some_and(|record| record.agent.is_some()) {
            return Err(CommandError::TaskOnAgent(task));
        }
        match self.decide(workflow, Event::Updated(update)) {
            Ok(()) | Err(DecideError::Refused(Refusal::TaskOver { .. } | Refusal::WorkflowStatus { .. })) => Ok(Some(workflow)),
            Err(error) => Err(command_error(error, workflow)),
        }
    }

    /// Which task is open at a step.
    pub(super) fn open_task(
        &mut self,
        tenant: &TenantName,
        workflow: WorkflowId,
        reference: &str,
        reply: Reply<Option<TaskId>>,
    ) {
        match self.status_for(tenant, workflow) {
            Ok(_) => {
                let task = self.runs.peek(workflow).and_then(|run| run.latest(reference));
                reply.answer(task.filter(|task| !task.status.is_terminal()).map(|task| task.id));
            }
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }

    /// Whether an agent has a task.
    pub(super) fn holds(&mut self, tenant: &TenantName, agent: &AgentId, task: TaskId, reply: Reply<()>) {
        let ours = self.fleet.agents.get(agent).is_some_and(|agent| agent.record.tenant == *tenant);
        if ours && self.index.claim(task).is_some_and(|(holder, _, _)| holder == agent) {
            reply.answer(());
        } else {
            let _ = reply.send(Err(CommandError::UnknownTask(task)));
        }
    }

    /// The input of a task that an agent has, and the secrets in it.
    pub(super) fn task_input(&mut self, tenant: &TenantName, agent: &AgentId, task: TaskId, reply: Reply<HandedOver>) {
        let holds = self.index.claim(task).is_some_and(|(holder, _, _)| holder == agent);
        let found = match self.workflow_of_task(tenant, task) {
            Ok(Some(workflow)) if holds => self.runs.peek(workflow).and_then(|run| {
                let secrets = RefCell::new(Vec::new());
                let look_up = |sealed, name: &str| {
                    let found = self.outlets.performers.look_up(tenant, sealed, name);
                    if let (Sealed::Secret, Some(secret)) = (sealed, &found) {
                        secrets.borrow_mut().push(secret.clone());
                    }
                    found
                };
                let revealed = run.revealed_input(task, &look_up).map(Arc::new);
                let input = revealed.or_else(|| Some(Arc::clone(&run.task(task)?.input)))?;
                Some(HandedOver { input, secrets: secrets.take() })
            }),
            _ => None,
        };
        match found {
            Some(handed) => reply.answer(handed),
            None => {
                let _ = reply.send(Err(CommandError::UnknownTask(task)));
            }
        }
    }

    /// Loads a workflow and says how it stands, when it belongs to the tenant.
    pub(super) fn status_for(&mut self, tenant: &TenantName, workflow: WorkflowId) -> Result<WorkflowStatus, CommandError> {
        if self.removing.contains_key(&workflow) {
            return Err(CommandError::UnknownWorkflow(workflow));
        }
        match self.runs.get(workflow, self.store.as_ref(), self.batch_number) {
            Ok(Some(run)) if run.workflow().tenant == *tenant => Ok(run.workflow().status),
            Ok(_) => Err(CommandError::UnknownWorkflow(workflow)),
            Err(error) => Err(CommandError::NotStored(error)),
        }
    }

    /// The workflow of an open task, in memory; `None` = the task is over. Fails when the tenant has no such task.
    pub(super) fn workflow_of_task(&mut self, tenant: &TenantName, task: TaskId) -> Result<Option<WorkflowId>, CommandError> {
        match self.index.workflow_of(task) {
            Some(workflow) => match self.status_for(tenant, workflow) {
                Ok(_) => Ok(Some(workflow)),
                Err(CommandError::UnknownWorkflow(_)) => Err(CommandError::UnknownTask(task)),
                Err(error) => Err(error),
            },
            None => match self.store.task(tenant, task) {
                Ok(Some(_)) => Ok(None),
                Ok(None) => Err(CommandError::UnknownTask(task)),
                Err(error) => Err(CommandError::NotStored(error)),
            },
        }
    }
}

/// A refusal as the caller hears it.
pub(super) fn command_error(error: DecideError, workflow: WorkflowId) -> CommandError {
    match error {
        DecideError::UnknownWorkflow => CommandError::UnknownWorkflow(workflow),
        DecideError::Refused(refusal) => CommandError::Refused(refusal),
        DecideError::Store(error) => CommandError::NotStored(error),
    }
}
