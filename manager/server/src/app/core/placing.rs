//! Giving tasks to agents, and orders to end them.

use std::collections::HashSet;
use std::sync::Arc;

use conductor_engine::Event;
use conductor_model::definition::TaskTimeoutPolicy;
use conductor_model::{AgentId, PluginName, PluginRecord, Selector, TaskId, TaskRecord, TenantName, WorkflowId, limits};
use conductor_placement::{Candidate, Placement, Request, Unplaced, place};
use conductor_store::{OutboxKind, OutboxMessage, StoreError};
use conductor_wire::amqp::{CancelOrder, PluginRef, TaskEnvelope, ToAgentItem};
use serde_json::value::RawValue;

use super::index::ClassKey;
use super::message::{Answer, CommandError, Reply};
use super::{Core, DecideError};

/// Inputs above this many bytes are fetched over REST: the rest of a message needs room too.
const INPUT_IN_MESSAGE_BYTES_MAX: usize = limits::MESSAGE_BYTES_MAX / 2;
/// A task that every fitting agent would not take is offered again after this many ms.
const REFUSED_PAUSE_MS: i64 = 2_000;

/// What became of an attempt to place the first task of a class.
enum Placing {
    /// It has an agent, or left the class otherwise.
    Done,
    /// No agent fits, nor will one fit any other of its class.
    NoRoom,
}

impl Core {
    /// Looks for places for all tasks that wait for one, if any may have become possible.
    pub(super) fn place_waiting(&mut self) {
        if !std::mem::take(&mut self.index.places_changed) {
            return;
        }
        for (_, class) in self.index.waiting_classes() {
            let selector = class.requires.as_deref().map(str::parse::<Selector>).transpose();
            while let Some(task) = self.index.first_in_class(&class) {
                let Some(workflow) = self.index.workflow_of(task) else { break };
                let limit = self.index.limit_key(task).cloned();
                let room = limit.as_ref().and_then(|limit| self.room_for(limit, workflow, task));
                if room == Some(0) {
                    self.index.hold_back(task);
                    continue;
                }
                let placing = match &selector {
                    Ok(selector) => self.place_task(&class, selector.as_ref(), workflow, task),
                    Err(error) => self.cannot_ever(workflow, task, error.to_string()),
                };
                if let Placing::NoRoom = placing {
                    break;
                }
                if let (Some(limit), Some(_)) = (&limit, room)
                    && self.index.claim(task).is_some()
                {
                    self.handed_out(limit);
                }
            }
        }
    }

    fn place_task(&mut self, class: &ClassKey, selector: Option<&Selector>, workflow: WorkflowId, task: TaskId) -> Placing {
        match self.runs.get(workflow, self.store.as_ref(), self.batch_number) {
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => {
                tracing::error!(%workflow, %task, "the workflow of a task that waits for an agent cannot be loaded");
                self.index.park(task);
                return Placing::Done;
            }
        }
        let Some(plugin) =
            self.runs.peek(workflow).and_then(|run| run.task(task)).and_then(|task| Some(task.agent.as_ref()?.plugin.clone()))
        else {
            self.index.park(task);
            return Placing::Done;
        };
        match self.plugin(&class.tenant, &plugin) {
            Ok(Some(_)) => {}
            Ok(None) => {
                return self.cannot_ever(workflow, task, format!("plugin {plugin} is not there any more; upload it and retry"));
            }
            Err(error) => {
                tracing::error!(%error, "plugins cannot be read");
                return Placing::NoRoom;
            }
        }
        let excluded = self.fleet.refused_by.get(&task).cloned().unwrap_or_default();
        let Ok(Placement { agent, alternates }) = self.find_place(class, selector, &excluded, task) else {
            if excluded.is_empty() {
                return Placing::NoRoom;
            }
            self.fleet.refused_by.remove(&task);
            self.index.postpone(task, self.now.plus_ms(REFUSED_PAUSE_MS));
            return Placing::Done;
        };
        let incarnation = self.fleet.agents.get(&agent).map(|agent| agent.record.incarnation.clone()).unwrap_or_default();
        match self.decide(workflow, Event::Assigned { task, agent, incarnation, alternates }) {
            Ok(_) => {}
            Err(DecideError::Refused(_)) => self.look_again(workflow, task),
            Err(error) => {
                tracing::error!(%task, %error, "a task could not be given to an agent");
                self.index.park(task);
            }
        }
        Placing::Done
    }

    fn cannot_ever(&mut self, workflow: WorkflowId, task: TaskId, reason: String) -> Placing {
        self.log_refusal(workflow, Event::Unplaceable { task, reason });
        if self.index.claim(task).is_none() {
            self.index.park(task);
        }
        Placing::Done
    }

    /// Asks placement for an agent.
    fn find_place(
        &self,
        class: &ClassKey,
        selector: Option<&Selector>,
        excluded: &HashSet<AgentId>,
        task: TaskId,
    ) -> Result<Placement, Unplaced> {
        let candidates: Vec<_> =
            self.fleet.agents.values().map(|agent| Candidate { agent: &agent.record, claims: agent.claims.len() }).collect();
        let request = Request { tenant: &class.tenant, requires: selector, target: class.target.as_ref(), excluded };
        #[expect(clippy::cast_possible_truncation, reason = "any bits will do to spread equal choices")]
        let spread = task.0.as_u128() as u64;
        place(&request, &candidates, spread)
    }

    /// The plugin that a task names, as it was when it was last looked up.
    fn plugin(&mut self, tenant: &TenantName, text: &str) -> Result<Option<PluginRecord>, StoreError> {
        let key = (tenant.clone(), text.to_owned());
        if let Some(known) = self.fleet.plugins.get(&key) {
            return Ok(known.clone());
        }
        let (name, version) = text.split_once('@').map_or((text, None), |(name, version)| (name, Some(version)));
        let found = match name.parse::<PluginName>() {
            Ok(name) => self.store.plugin(tenant, &name, version)?,
            Err(_) => None,
        };
        self.fleet.plugins.insert(key, found.clone());
        Ok(found)
    }

    /// Writes the order to run a task and puts it into the outbox.
    pub(super) fn dispatch(&mut self, workflow: WorkflowId, task: TaskId) {
        let Some(run) = self.runs.peek(workflow) else { return };
        let Some(record) = run.task(task).cloned() else { return };
        let (workflow_name, sealed) = (run.workflow().name.clone(), run.has_sealed_input(task));
        let timeout = run.plan().definition(&record.reference);
        let run_timeout_ms = timeout
            .filter(|definition| definition.timeout_seconds > 0 && definition.timeout_policy != TaskTimeoutPolicy::AlertOnly)
            .and_then(|definition| u64::try_from(definition.timeout_seconds.saturating_mul(1000)).ok());
        let Some(part) = record.agent.as_deref() else { return };
        let (Some(agent), Ok(Some(plugin))) = (part.assigned.clone(), self.plugin(&record.tenant, &part.plugin)) else {
            return;
        };
        let start_before = self.fleet.agents.get(&agent).map(|agent| agent.lease_until);
        let envelope = TaskEnvelope {
            task_id: task,
            dispatch: part.dispatch,
            workflow_id: workflow,
            tenant: record.tenant.clone(),
            workflow_name,
            reference: record.reference.to_string(),
            definition_name: record.definition_name.to_string(),
            attempt: record.attempt,
            plugin: PluginRef { name: plugin.name.to_string(), version: plugin.version, digest: plugin.digest },
            operation: part.operation.clone(),
            // Orders are stored until they are confirmed: an input with secrets is fetched over REST instead.
            input: if sealed { None } else { input_in_message(&record) },
            node_instance: part.node_instance.clone().unwrap_or_else(|| agent.to_string()),
            run_timeout_ms,
            grace_ms: self.settings.grace_ms,
            limits: part.limits.clone(),
            idempotent: part.idempotent,
            start_before,
            incarnation: part.incarnation.clone(),
        };
        self.put_order(record.tenant, agent, task, OutboxKind::Task, &ToAgentItem::Task(Box::new(envelope)));
    }

    /// Writes the order to end a task and puts it into the outbox.
    pub(super) fn cancel_on_agent(&mut self, task: TaskId, dispatch: u32, agent: AgentId, reason: String) {
        let Some(tenant) = self.fleet.agents.get(&agent).map(|agent| agent.record.tenant.clone()) else { return };
        let order = CancelOrder { task_id: task, dispatch, reason };
        self.put_order(tenant, agent, task, OutboxKind::Cancel, &ToAgentItem::Cancel(order));
    }

    fn put_order(&mut self, tenant: TenantName, agent: AgentId, task: TaskId, kind: OutboxKind, item: &ToAgentItem) {
        match serde_json::to_string(item) {
            Ok(body) => self.outbox(|id| OutboxMessage { id, tenant, agent, task, kind, body: Arc::from(body) }),
            Err(error) => tracing::error!(%task, %error, "an order for an agent cannot be written"),
        }
    }

    /// Why a task has no agent yet; `None` when it needs none, has one, or must wait for its moment.
    pub(super) fn explain(&mut self, tenant: &TenantName, task: TaskId, reply: Reply<Option<Unplaced>>) {
        let result = self.workflow_of_task(tenant, task).map(|workflow| {
            let record = workflow.and_then(|workflow| self.runs.peek(workflow)).and_then(|run| run.task(task))?;
            let part = record.agent.as_deref().filter(|part| part.assigned.is_none())?;
            let class = ClassKey { tenant: tenant.clone(), requires: part.requires.clone(), target: part.target.clone() };
            let selector = class.requires.as_deref().and_then(|text| text.parse::<Selector>().ok());
            self.find_place(&class, selector.as_ref(), &HashSet::new(), task).err()
        });
        match result {
            Ok(why) => reply.answer(why),
            Err(CommandError::UnknownTask(_)) => {
                let _ = reply.send(Err(CommandError::UnknownTask(task)));
            }
            Err(error) => {
                let _ = reply.send(Err(error));
            }
        }
    }
}

/// The input as it travels; `None` when it is too large.
fn input_in_message(record: &TaskRecord) -> Option<Arc<RawValue>> {
    let text = serde_json::to_string(&record.input).ok()?;
    if text.len() > INPUT_IN_MESSAGE_BYTES_MAX {
        return None;
    }
    RawValue::from_string(text).ok().map(Arc::from)
}
