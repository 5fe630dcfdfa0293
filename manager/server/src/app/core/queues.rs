//! What operators may do about queues, and removing agents.

use std::collections::BTreeMap;

use conductor_model::{AgentId, TaskId, TenantName, WorkflowId};
use serde_json::json;

use super::Core;
use super::decide::AsItIsNow;
use super::message::{Announcement, Answer, CommandError, Reply};
use super::timers::Timer;

impl Core {
    /// Whether an open task has a place to wait in, an agent, or a moment from which it has one. For simulations.
    #[must_use]
    pub fn has_place(&self, task: TaskId) -> bool {
        self.index.has_place(task)
    }

    /// Where each open task stands, in words. Memory that is built anew from the store says the same. For simulations.
    #[must_use]
    pub fn standings(&self) -> BTreeMap<TaskId, String> {
        self.index.standings()
    }

    /// The domain that a task of a type would get now, of these; `None` = workers without a domain.
    pub(super) fn domain_of(&self, tenant: TenantName, task_type: &str, listed: &str) -> Option<String> {
        let catalogue = AsItIsNow { store: self.store.as_ref(), polling: &self.polling, tenant, now: self.now };
        conductor_engine::domain_of(listed, task_type, &catalogue)
    }

    /// Puts tasks of a type that wait nowhere back where pollers find them; answers how many wait there then.
    pub(super) fn requeue(&mut self, tenant: &TenantName, task_type: &str, reply: Reply<u64>) {
        for (task, workflow) in self.index.parked(tenant, task_type) {
            match self.runs.get(workflow, self.store.as_ref(), self.batch_number) {
                Ok(Some(run)) => {
                    if let Some(record) = run.task(task)
                        && run.workflow().status == conductor_model::WorkflowStatus::Running
                    {
                        self.index.observe(record, self.now);
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    let _ = reply.send(Err(CommandError::NotStored(error)));
                    return;
                }
            }
        }
        let waiting = self.index.queue_views(tenant).into_iter().filter(|queue| queue.task_type == task_type);
        reply.answer(waiting.map(|queue| queue.waiting).sum());
    }

    /// Puts what is open of a workflow back where it waits. Memory is derived from the records, so that nothing should
    /// change; operators of other servers are used to asking for it.
    pub(super) fn look_at_workflow(&mut self, tenant: &TenantName, workflow: WorkflowId, reply: Reply<()>) {
        match self.runs.get(workflow, self.store.as_ref(), self.batch_number) {
            Ok(Some(run)) if run.workflow().tenant == *tenant => {
                if !run.workflow().status.is_terminal() {
                    for task in run.open_tasks() {
                        self.index.observe(task, self.now);
                    }
                }
                reply.answer(());
            }
            Ok(_) => {
                let _ = reply.send(Err(CommandError::UnknownWorkflow(workflow)));
            }
            Err(error) => {
                let _ = reply.send(Err(CommandError::NotStored(error)));
            }
        }
    }

    /// Forgets an agent. One that has tasks is only forgotten by force: its tasks are lost then.
    pub(super) fn remove_agent(&mut self, tenant: &TenantName, id: &AgentId, force: bool, reply: Reply<()>) {
        let Some(agent) = self.fleet.agents.get(id).filter(|agent| agent.record.tenant == *tenant) else {
            let _ = reply.send(Err(CommandError::UnknownAgent(id.clone())));
            return;
        };
        let claims: Vec<_> = agent.claims.iter().copied().collect();
        if !claims.is_empty() && !force {
            let _ = reply.send(Err(CommandError::AgentBusy { agent: id.clone(), tasks: claims.len() }));
            return;
        }
        for task in claims {
            self.lose(task, format!("agent {id} was removed"));
        }
        self.fleet.agents.remove(id);
        self.index.timers.clear(&Timer::Lease(id.clone()));
        self.building.agent_gone(id.clone());
        let tenant = tenant.clone();
        self.announce(Announcement { tenant, kind: "agent.removed", task: None, agent: Some(id.clone()), data: json!({}) });
        self.building.reply(reply, ());
    }
}
