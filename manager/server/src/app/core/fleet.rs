//! Agents: how they stand, what they have, and their leases.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use conductor_model::{AgentId, AgentRecord, AgentState, PluginRecord, TaskId, TaskRecord, TenantName, Timestamp};
use rustc_hash::FxHashMap;

use crate::app::AgentView;

/// One agent in memory.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) record: AgentRecord,
    /// Tasks that it was given and that are not over. In order, so that what follows for each of them is too.
    pub(super) claims: BTreeSet<TaskId>,
    /// When its lease ends; it is offline from then on.
    pub(super) lease_until: Timestamp,
    /// The host that its lease came from last, and the one before.
    hosts: [String; 2],
    /// How many leases in a row did not name a task that it should have.
    pub(super) missed: FxHashMap<TaskId, u32>,
    /// How many leases in a row named a task that it should not have.
    pub(super) strange: FxHashMap<TaskId, u32>,
}

/// All agents.
#[derive(Debug, Default)]
pub(super) struct Fleet {
    pub(super) agents: BTreeMap<AgentId, Agent>,
    /// Who has a task.
    holder: FxHashMap<TaskId, AgentId>,
    /// When a lease last named a task.
    renewed: FxHashMap<TaskId, Timestamp>,
    /// Plugins by tenant and `NAME[@VERSION]`, as dispatched last. Cleared when plugins change.
    pub(super) plugins: HashMap<(TenantName, String), Option<PluginRecord>>,
    /// Agents that would not take a task; it is offered to others first.
    pub(super) refused_by: FxHashMap<TaskId, HashSet<AgentId>>,
    broker_connected: bool,
}

impl Fleet {
    /// Agents as they were stored. Those that were active get a whole lease to show that they still are.
    pub(super) fn rebuilt(agents: Vec<AgentRecord>, now: Timestamp, lease_ms: i64, broker_connected: bool) -> Self {
        let agents = agents.into_iter().map(|record| (record.id.clone(), Agent::new(record, now.plus_ms(lease_ms)))).collect();
        Self { agents, broker_connected, ..Self::default() }
    }

    /// When each lease ends, of agents that are not offline or that have tasks.
    pub(super) fn lease_timers(&self) -> Vec<(AgentId, Timestamp)> {
        self.agents
            .values()
            .filter(|agent| agent.record.state != AgentState::Offline || !agent.claims.is_empty())
            .map(|agent| (agent.record.id.clone(), agent.lease_until))
            .collect()
    }

    /// Whether the manager is connected to the broker: while it is not, no lease can end.
    pub(super) fn broker_connected(&self) -> bool {
        self.broker_connected
    }

    /// The connection came or went. When it comes, every agent gets a whole lease anew.
    pub(super) fn set_broker_connected(&mut self, connected: bool, until: Timestamp) {
        self.broker_connected = connected;
        if connected {
            for agent in self.agents.values_mut() {
                agent.lease_until = agent.lease_until.max(until);
            }
        }
    }

    /// Takes note of who has a task now.
    pub(super) fn observe(&mut self, task: &TaskRecord) {
        let Some(part) = &task.agent else { return };
        match &part.assigned {
            Some(agent) if !task.status.is_terminal() => self.claim(agent, task.id),
            _ => self.release(task.id),
        }
        if task.status.is_terminal() {
            self.refused_by.remove(&task.id);
        }
    }

    /// An agent has a task.
    pub(super) fn claim(&mut self, agent: &AgentId, task: TaskId) {
        if self.holder.get(&task) == Some(agent) {
            return;
        }
        self.release(task);
        self.holder.insert(task, agent.clone());
        if let Some(agent) = self.agents.get_mut(agent) {
            agent.claims.insert(task);
        }
    }

    /// A task is gone.
    pub(super) fn forget(&mut self, task: TaskId) {
        self.release(task);
        self.refused_by.remove(&task);
    }

    fn release(&mut self, task: TaskId) {
        self.renewed.remove(&task);
        if let Some(agent) = self.holder.remove(&task).and_then(|holder| self.agents.get_mut(&holder)) {
            agent.claims.remove(&task);
            agent.missed.remove(&task);
        }
    }

    /// A lease named a task.
    pub(super) fn renew(&mut self, task: TaskId, now: Timestamp) {
        if self.holder.contains_key(&task) {
            self.renewed.insert(task, now);
        }
    }

    /// Whether a lease named a task within the last lease.
    pub(super) fn is_renewed(&self, task: TaskId, now: Timestamp, lease_ms: i64) -> bool {
        self.renewed.get(&task).is_some_and(|at| now.ms_since(*at) <= lease_ms)
    }

    /// The agents of a tenant with what they have.
    pub(super) fn views(&self, tenant: &TenantName) -> Vec<AgentView> {
        self.agents
            .values()
            .filter(|agent| agent.record.tenant == *tenant)
            .map(|agent| {
                let tasks = agent.claims.iter().copied().collect();
                AgentView { record: agent.record.clone(), tasks }
            })
            .collect()
    }

    /// How many agents are in a state.
    pub(super) fn count(&self, state: AgentState) -> usize {
        self.agents.values().filter(|agent| agent.record.state == state).count()
    }

    /// Who has a task.
    pub(super) fn holder(&self, task: TaskId) -> Option<&AgentId> {
        self.holder.get(&task)
    }
}

impl Agent {
    pub(super) fn new(record: AgentRecord, lease_until: Timestamp) -> Self {
        let hosts = [String::new(), String::new()];
        Self {
            record,
            claims: BTreeSet::new(),
            lease_until,
            hosts,
            missed: FxHashMap::default(),
            strange: FxHashMap::default(),
        }
    }

    /// Takes note of the host that a lease came from. True when another host spoke in between: a host that was booted anew, or
    /// replaced, is never its former self again, so two of them must be alive.
    pub(super) fn is_two_hosts(&mut self, host: &str) -> bool {
        if host.is_empty() || self.hosts[0] == host {
            return false;
        }
        self.hosts.swap(0, 1);
        if self.hosts[0] == host {
            return true;
        }
        host.clone_into(&mut self.hosts[0]);
        false
    }
}
