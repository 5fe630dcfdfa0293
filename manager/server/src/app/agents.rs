//! Agents: registration, what they have, and payloads too large for the broker.

use conductor_model::{AgentId, AgentRecord, TaskId, TenantName};
use conductor_wire::agent_api::{AgentHello, AgentWelcome};
use serde_json::{Map, Value};

use super::{App, AppError};

/// An agent with what it has at the moment.
#[derive(Clone, Debug)]
pub struct AgentView {
    /// Its record.
    pub record: AgentRecord,
    /// Tasks that it was given and that are not over.
    pub tasks: Vec<TaskId>,
}

impl App {
    /// Registers an agent, or hears that its labels or facts changed. Declares its queue and makes its host's node instance.
    ///
    /// # Errors
    /// `protocol-unsupported`; `agent-of-another-tenant`; unavailable while the broker cannot be reached.
    pub async fn register_agent(&self, tenant: &TenantName, id: AgentId, hello: AgentHello) -> Result<AgentWelcome, AppError> {
        let _ = (tenant, id, hello);
        unreachable!("filled in by the deciding thread")
    }

    /// All agents of a tenant, by id.
    ///
    /// # Errors
    /// When the manager shuts down.
    pub async fn agents(&self, tenant: &TenantName) -> Result<Vec<AgentView>, AppError> {
        let _ = tenant;
        unreachable!("filled in by the deciding thread")
    }

    /// The input of a task that is too large for the broker.
    ///
    /// # Errors
    /// `not-found` when the agent has no such task.
    pub async fn task_input_for_agent(&self, tenant: &TenantName, agent: &AgentId, task: TaskId) -> Result<Value, AppError> {
        let _ = (tenant, agent, task);
        unreachable!("filled in by the deciding thread")
    }

    /// Keeps an output that is too large for the broker until the task's report names it.
    ///
    /// # Errors
    /// `not-found` when the agent has no such task; `too-large`.
    pub async fn put_task_output(
        &self,
        tenant: &TenantName,
        agent: &AgentId,
        task: TaskId,
        output: Map<String, Value>,
    ) -> Result<(), AppError> {
        let _ = (tenant, agent, task, output);
        unreachable!("filled in by the deciding thread")
    }
}
