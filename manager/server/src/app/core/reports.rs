//! What agents say: registration, leases, and what became of tasks.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use conductor_engine::{AgentOutcome, Event};
use conductor_model::limits::CORDON_REASON_CHARS_MAX;
use conductor_model::{AgentId, AgentRecord, AgentState, Outcome, TaskId, Timestamp, WorkflowId};
use conductor_store::StoreError;
use conductor_wire::amqp::{Lease, TaskEvent, TaskEventKind, TaskFinished};
use serde_json::{Map, Value, json};

use super::fleet::Agent;
use super::message::{Announcement, CommandError, Reply, Sender, Settled};
use super::timers::Timer;
use super::{Core, DecideError};

/// A task that so many leases in a row did not name is sent again: its agent never got it, or reports its end again.
const MISSED_LEASES_MAX: u32 = 3;
/// A task that so many leases in a row named although it is over here is cancelled there.
const STRANGE_LEASES_MAX: u32 = 2;

impl Core {
    /// An agent presents itself. Tasks given to an earlier incarnation of it are lost.
    pub(super) fn register(&mut self, mut record: AgentRecord, reply: Reply<()>) {
        let id = record.id.clone();
        let until = self.now.plus_ms(self.settings.lease_ms);
        let mut lost = Vec::new();
        let known = match self.fleet.agents.get(&id) {
            Some(known) if known.record.tenant != record.tenant => {
                let _ = reply.send(Err(CommandError::ForeignAgent(id)));
                return;
            }
            Some(known) => {
                if known.record.incarnation != record.incarnation {
                    lost.extend(known.claims.iter().copied());
                }
                record.registered_at = known.record.registered_at;
                // A state that the registration itself decides stands; what leases say of an agent that is well stays.
                if record.state == AgentState::Offline && known.record.state != AgentState::Unsupported {
                    record.state = known.record.state;
                }
                record.cordon = known.record.cordon.clone();
                true
            }
            None => false,
        };
        self.handle.note_agent(&record);
        self.building.agent(record.clone());
        let tenant = record.tenant.clone();
        match self.fleet.agents.get_mut(&id) {
            Some(agent) => agent.record = record,
            None => {
                self.fleet.agents.insert(id.clone(), Agent::new(record, until));
            }
        }
        if !known {
            self.announce(Announcement {
                tenant,
                kind: "agent.registered",
                task: None,
                agent: Some(id.clone()),
                data: json!({}),
            });
        }
        for task in lost {
            self.lose(task, format!("agent {id} began a new journal and knows nothing of the task"));
        }
        self.index.places_changed = true;
        self.building.reply(reply, ());
    }

    /// An agent renews its lease.
    pub(super) fn renew_lease(&mut self, from: &Sender, lease: &Lease) {
        let until = self.now.plus_ms(self.settings.lease_ms);
        let Some(agent) = self.fleet.agents.get_mut(&from.agent) else { return };
        if agent.is_two_hosts(&lease.host) {
            tracing::error!(
                agent = %from.agent,
                "two hosts speak in the name of one agent, so it gets no more tasks; `conductor agents delete` it, then let each \
                 host in again under an id of its own"
            );
            self.set_agent_state(&from.agent, AgentState::Quarantined, None);
        }
        let Some(agent) = self.fleet.agents.get_mut(&from.agent) else { return };
        if agent.record.incarnation != from.incarnation {
            return;
        }
        agent.lease_until = until;
        agent.record.last_seen_at = self.now;
        let state = if lease.draining { AgentState::Draining } else { AgentState::Active };
        self.index.timers.set(Timer::Lease(from.agent.clone()), until);
        let reason = Some(&lease.reason).filter(|reason| lease.draining && !reason.is_empty());
        // Somebody else's words: as many as a reason of our own may have.
        let reason = reason.map(|reason| reason.chars().take(CORDON_REASON_CHARS_MAX).collect());
        self.set_agent_state(&from.agent, state, reason);
        self.reconcile(&from.agent, lease);
    }

    fn set_agent_state(&mut self, id: &AgentId, state: AgentState, reason: Option<String>) {
        let Some(agent) = self.fleet.agents.get_mut(id) else { return };
        let is_news = agent.record.state != state || agent.record.state_reason != reason;
        if !is_news || matches!(agent.record.state, AgentState::Unsupported | AgentState::Quarantined) {
            return;
        }
        agent.record.state = state;
        agent.record.state_reason = reason;
        let record = agent.record.clone();
        let kind = match state {
            AgentState::Active => "agent.online",
            AgentState::Draining => "agent.draining",
            AgentState::Offline => "agent.offline",
            AgentState::Unsupported => "agent.unsupported",
            AgentState::Quarantined => "agent.quarantined",
        };
        let reason = record.state_reason.as_deref().unwrap_or_default();
        tracing::info!(agent = %id, %state, reason, "agent changed state");
        self.announce(Announcement {
            tenant: record.tenant.clone(),
            kind,
            task: None,
            agent: Some(id.clone()),
            data: record.state_reason.as_ref().map_or_else(|| json!({}), |reason| json!({ "reason": reason })),
        });
        self.building.agent(record);
        self.index.places_changed = true;
    }

    /// Compares what an agent says it has with what it should have, both ways.
    fn reconcile(&mut self, id: &AgentId, lease: &Lease) {
        let now = self.now;
        let mut named = HashSet::with_capacity(lease.tasks.len());
        let mut strange = Vec::new();
        for &(task, dispatch) in &lease.tasks {
            match self.index.claim(task) {
                Some((holder, current, _)) if holder == id && current == dispatch => {
                    named.insert(task);
                    self.fleet.renew(task, now);
                }
                _ => strange.push((task, dispatch)),
            }
        }
        let patience = self.settings.lease_interval_ms;
        let Some(agent) = self.fleet.agents.get_mut(id) else { return };
        let mut again = Vec::new();
        for &task in agent.claims.iter().filter(|task| !named.contains(task)) {
            let fresh = self.index.claim(task).is_none_or(|(_, _, since)| now.ms_since(since) < patience);
            let missed = agent.missed.entry(task).or_default();
            *missed = if fresh { 0 } else { *missed + 1 };
            if *missed >= MISSED_LEASES_MAX {
                *missed = 0;
                again.push(task);
            }
        }
        agent.missed.retain(|task, _| !named.contains(task));
        agent.strange.retain(|task, _| strange.iter().any(|(other, _)| other == task));
        strange.retain(|(task, _)| {
            let seen = agent.strange.entry(*task).or_default();
            *seen += 1;
            *seen == STRANGE_LEASES_MAX
        });
        for task in again {
            tracing::warn!(agent = %id, %task, "agent does not know of its task; sending it again");
            if let Some(workflow) = self.index.workflow_of(task)
                && matches!(self.runs.get(workflow, self.store.as_ref(), self.batch_number), Ok(Some(_)))
            {
                self.dispatch(workflow, task);
            }
        }
        for (task, dispatch) in strange {
            self.cancel_on_agent(task, dispatch, id.clone(), "the task is over for the manager".to_owned());
        }
    }

    /// The moment has come at which an agent's lease ends, unless it was renewed or the broker is away.
    pub(super) fn lease_ended(&mut self, id: &AgentId) {
        let until = self.now.plus_ms(self.settings.lease_ms);
        let connected = self.fleet.broker_connected();
        let Some(agent) = self.fleet.agents.get_mut(id) else { return };
        if !connected {
            agent.lease_until = until;
        }
        if agent.lease_until > self.now {
            let due = agent.lease_until;
            self.index.timers.set(Timer::Lease(id.clone()), due);
            return;
        }
        let claims: Vec<_> = agent.claims.iter().copied().collect();
        self.set_agent_state(id, AgentState::Offline, None);
        for task in claims {
            self.lose(task, format!("agent {id} has not been heard of for {} s", self.settings.lease_ms / 1000));
        }
    }

    /// Nobody knows how far a task came.
    pub(super) fn lose(&mut self, task: TaskId, reason: String) {
        if let (Some(workflow), Some(dispatch)) = (self.index.workflow_of(task), self.index.claimed_dispatch(task)) {
            self.log_refusal(workflow, Event::Lost { task, dispatch, reason, never_begun: false });
        }
    }

    /// The connection to the broker came or went.
    pub(super) fn broker_connected(&mut self, connected: bool) {
        self.fleet.set_broker_connected(connected, self.now.plus_ms(self.settings.lease_ms));
    }

    /// What became of tasks. Settled once it is stored, or known to be of no use.
    pub(super) fn report(&mut self, from: &Sender, events: Vec<TaskEvent>, settled: Settled) {
        for event in events {
            if let Err(error) = self.task_event(from, event) {
                match error {
                    DecideError::Store(error) => {
                        tracing::error!(%error, "a report could not be decided; it will be sent again");
                        settled(false);
                        return;
                    }
                    DecideError::Refused(_) | DecideError::UnknownWorkflow => {
                        tracing::debug!(agent = %from.agent, %error, "report changes nothing");
                    }
                }
            }
        }
        self.building.after(move |stored| settled(stored.is_ok()));
    }

    fn task_event(&mut self, from: &Sender, event: TaskEvent) -> Result<(), DecideError> {
        let TaskEvent { task_id: task, dispatch, workflow_id, event } = event;
        let ours = |at: Timestamp, now: Timestamp| at.plus_ms(-from.clock_ahead_ms).min(now);
        // Another agent has it by now, or it is over. A task that nobody has may still have been finished by who lost it.
        let claim = self.index.claim(task).map(|(holder, current, _)| *holder == from.agent && current == dispatch);
        if claim == Some(false) || self.index.workflow_of(task) != Some(workflow_id) {
            return Ok(());
        }
        if claim.is_none() && !self.was_last_given_to(workflow_id, task, &from.agent)? {
            tracing::error!(
                target: "audit", agent = %from.agent, task.id = %task,
                "a report on a task that the agent was not given was dropped"
            );
            return Ok(());
        }
        match event {
            TaskEventKind::Started { at } => {
                let at = ours(at, self.now);
                self.decide(workflow_id, Event::Started { task, dispatch, at }).map(drop)
            }
            TaskEventKind::Progress { percent, message, .. } => {
                let Some(run) = self.runs.peek(workflow_id) else { return Ok(()) };
                let tenant = run.workflow().tenant.clone();
                let reference = run.task(task).map(|task| task.reference.to_string());
                let data = json!({ "reference": reference, "percent": percent, "message": message });
                let task = Some((workflow_id, task));
                self.announce(Announcement { tenant, kind: "task.progress", task, agent: Some(from.agent.clone()), data });
                Ok(())
            }
            TaskEventKind::Finished(finished) => {
                let event = self.finished(from, task, dispatch, finished);
                self.decide(workflow_id, event).map(drop)
            }
        }
    }

    /// Whether an agent is the last that a task was given to, and still of the task's tenant.
    fn was_last_given_to(&mut self, workflow: WorkflowId, task: TaskId, agent: &AgentId) -> Result<bool, StoreError> {
        let Some(known) = self.fleet.agents.get(agent) else { return Ok(false) };
        let Some(run) = self.runs.get(workflow, self.store.as_ref(), self.batch_number)? else { return Ok(false) };
        let part = run.task(task).and_then(|record| record.agent.as_ref());
        Ok(run.workflow().tenant == known.record.tenant && part.is_some_and(|part| part.last_holder() == Some(agent)))
    }

    /// A task ended. One that an agent would not begin goes to another and does not count as an attempt.
    fn finished(&mut self, from: &Sender, task: TaskId, dispatch: u32, finished: TaskFinished) -> Event {
        let reason = finished.reason;
        if finished.outcome == Outcome::Refused && finished.started_at.is_none() {
            self.fleet.refused_by.entry(task).or_default().insert(from.agent.clone());
            let reason = reason.unwrap_or_else(|| format!("agent {} would not take it", from.agent));
            if let Some(agent) = self.fleet.agents.get(&from.agent) {
                tracing::warn!(agent = %from.agent, task.id = %task, reason, "an agent refused a task");
                let announcement = Announcement {
                    tenant: agent.record.tenant.clone(),
                    kind: "agent.refused-task",
                    task: None,
                    agent: Some(from.agent.clone()),
                    data: json!({ "task": task, "dispatch": dispatch, "reason": reason }),
                };
                self.announce(announcement);
            }
            return Event::Lost { task, dispatch, reason, never_begun: true };
        }
        let output = if finished.output_by_reference {
            let path = output_path(&self.settings.outputs_dir, task);
            match read_output(&path) {
                Some(output) => {
                    self.building.after(move |stored| {
                        if stored.is_ok() {
                            let _ = std::fs::remove_file(path);
                        }
                    });
                    output
                }
                None => {
                    let reason = "its output was too large for a message and did not arrive over REST".to_owned();
                    let outcome =
                        AgentOutcome { outcome: Outcome::Failed, output: Map::new(), reason: Some(reason), started_at: None };
                    return Event::Finished { task, dispatch, outcome };
                }
            }
        } else {
            finished.output
        };
        let started_at = finished.started_at.map(|at| at.plus_ms(-from.clock_ahead_ms).min(self.now));
        Event::Finished { task, dispatch, outcome: AgentOutcome { outcome: finished.outcome, output, reason, started_at } }
    }
}

/// Where a large output of a task lies until its report names it.
pub(crate) fn output_path(dir: &Path, task: TaskId) -> PathBuf {
    dir.join(format!("{task}.json"))
}

fn read_output(path: &Path) -> Option<Map<String, Value>> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}
