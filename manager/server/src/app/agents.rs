//! Agents: registration, what they have, and payloads too large for the broker.

use std::io::Write;
use std::path::Path;

use conductor_model::{AgentId, AgentRecord, AgentState, Cordon, NodeInstance, TaskId, TenantName, Timestamp, limits};
use conductor_wire::agent_api::{AgentHello, AgentWelcome};
use conductor_wire::amqp::agent_queue;
use conductor_wire::{PROTOCOL, PROTOCOL_OLDEST};
use serde_json::{Map, Value, json};

use super::core::{HandedOver, Message, output_path};
use super::{App, AppError};
use crate::clock;

/// Most tasks that one agent may run at once.
const SLOTS_MAX: u32 = 4096;
/// Messages that an agent takes ahead of its slots: cancel orders must reach it while all slots are taken.
const PREFETCH_BUFFER: u16 = 16;

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
        if !(PROTOCOL_OLDEST..=PROTOCOL).contains(&hello.protocol) {
            // It is shown with its state, so that somebody sees what to do.
            let reason = unsupported(hello.protocol);
            let message = format!("agent {id} {reason}");
            let mut record = Box::new(record_of(tenant, &id, hello, AgentState::Unsupported, clock::now()));
            record.state_reason = Some(reason);
            self.inner.core.ask(|reply| Message::Register { record, reply }).await?;
            return Err(AppError::conflict("protocol-unsupported", message));
        }
        if hello.slots == 0 || hello.slots > SLOTS_MAX {
            let message = format!("slots is {}; it must be between 1 and {SLOTS_MAX}", hello.slots);
            return Err(AppError::invalid("slots-invalid", message));
        }
        let declared = self.inner.broker.declare_agent_queue(&id).await;
        declared.map_err(|error| AppError::Unavailable { reason: error.to_string() })?;
        let now = clock::now();
        let instance = host_instance(tenant, &id, now);
        self.read(move |store| store.ensure_node_instance(instance)).await?;
        let mut hello = hello;
        // What operators said when they let it in stands above what the host says of itself.
        if let Some((_, identity)) = self.inner.trust.identity(&id) {
            hello.labels.extend(identity.labels.clone());
        }
        let amqp_url = self.inner.accounts.ensure(&id).await;
        let amqp_url =
            amqp_url.map_err(|error| AppError::Unavailable { reason: conductor_boot::report(&error).to_string() })?;
        let prefetch = u16::try_from(hello.slots).unwrap_or(u16::MAX).saturating_add(PREFETCH_BUFFER);
        let record = Box::new(record_of(tenant, &id, hello, AgentState::Offline, now));
        self.inner.core.ask(|reply| Message::Register { record, reply }).await?;
        let settings = &self.inner.settings;
        Ok(AgentWelcome {
            queue: agent_queue(&id),
            id,
            amqp_url,
            lease_interval_ms: settings.lease.interval_ms,
            lease_ms: settings.lease.lease_ms,
            manager_time_ms: clock::now().0,
            prefetch,
            own_account: self.inner.accounts.are_own(),
            task_key: self.inner.trust.signer().verification_key(),
        })
    }

    /// All agents of a tenant, by id.
    ///
    /// # Errors
    /// When the manager shuts down.
    pub async fn agents(&self, tenant: &TenantName) -> Result<Vec<AgentView>, AppError> {
        let tenant = tenant.clone();
        Ok(self.inner.core.ask(|reply| Message::Agents { tenant, reply }).await?)
    }

    /// Gives an agent nothing new from now on; what it has goes on. Again with another reason, the reason is replaced.
    ///
    /// # Errors
    /// `not-found`; `reason-too-long`.
    pub async fn cordon_agent(&self, tenant: &TenantName, agent: AgentId, reason: Option<String>) -> Result<(), AppError> {
        let length = reason.as_deref().map_or(0, |reason| reason.chars().count());
        if length > limits::CORDON_REASON_CHARS_MAX {
            let message = format!("reason has {length} characters; at most {} are kept", limits::CORDON_REASON_CHARS_MAX);
            return Err(AppError::invalid("reason-too-long", message));
        }
        let cordon = Some(Cordon { reason: reason.filter(|reason| !reason.is_empty()), since: clock::now() });
        let tenant = tenant.clone();
        Ok(self.inner.core.ask(|reply| Message::Cordon { tenant, agent, cordon, reply }).await?)
    }

    /// Lets an agent be given tasks again. One that was not cordoned stays as it is.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn uncordon_agent(&self, tenant: &TenantName, agent: AgentId) -> Result<(), AppError> {
        let tenant = tenant.clone();
        Ok(self.inner.core.ask(|reply| Message::Cordon { tenant, agent, cordon: None, reply }).await?)
    }

    /// The input of a task that is too large for the broker or holds secrets, and the secrets.
    ///
    /// # Errors
    /// `not-found` when the agent has no such task.
    pub async fn task_input_for_agent(
        &self,
        tenant: &TenantName,
        agent: &AgentId,
        task: TaskId,
    ) -> Result<HandedOver, AppError> {
        let (tenant, agent) = (tenant.clone(), agent.clone());
        Ok(self.inner.core.ask(|reply| Message::TaskInput { tenant, agent, task, reply }).await?)
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
        let text = serde_json::to_vec(&output)
            .map_err(|source| AppError::Internal { operation: "writing an output", source: Box::new(source) })?;
        if text.len() > limits::TASK_PAYLOAD_BYTES_MAX {
            return Err(AppError::TooLarge {
                what: "the output",
                size_bytes: text.len() as u64,
                limit_bytes: limits::TASK_PAYLOAD_BYTES_MAX as u64,
            });
        }
        let (tenant, agent) = (tenant.clone(), agent.clone());
        self.inner.core.ask(|reply| Message::Holds { tenant, agent, task, reply }).await?;
        let path = output_path(&self.inner.outputs_dir, task);
        let written = tokio::task::spawn_blocking(move || write_durably(&path, &text)).await;
        let written = written.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        written.map_err(|source| AppError::Internal { operation: "keeping a large output", source: Box::new(source) })
    }
}

/// Why an agent of such a protocol is given nothing, and what to do: the older side is upgraded.
fn unsupported(protocol: u16) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let remedy = if protocol < PROTOCOL_OLDEST {
        format!("install conductor-agent {version} on its host")
    } else {
        format!("upgrade the manager, which is of version {version}, or install conductor-agent {version} on its host")
    };
    format!("speaks protocol {protocol}, this manager {PROTOCOL_OLDEST} to {PROTOCOL}: {remedy}")
}

/// An agent as it says it is.
fn record_of(tenant: &TenantName, id: &AgentId, hello: AgentHello, state: AgentState, now: Timestamp) -> AgentRecord {
    AgentRecord {
        id: id.clone(),
        tenant: tenant.clone(),
        name: hello.name,
        state,
        state_reason: None,
        labels: hello.labels,
        facts: hello.facts,
        slots: hello.slots,
        version: hello.version,
        protocol: hello.protocol,
        incarnation: hello.incarnation,
        registered_at: now,
        last_seen_at: now,
        // What an operator said of an agent that is known already stays.
        cordon: None,
    }
}

/// The node instance of an agent's host, as it is at first.
fn host_instance(tenant: &TenantName, id: &AgentId, now: Timestamp) -> NodeInstance {
    NodeInstance {
        id: id.to_string(),
        tenant: tenant.clone(),
        node_id: id.to_string(),
        deployment_id: String::new(),
        host_id: Some(id.to_string()),
        state: "started".to_owned(),
        version: 1,
        index: 1,
        runtime_properties: Map::new(),
        system_properties: match json!({ "agent": id }) {
            Value::Object(properties) => properties,
            _ => Map::new(),
        },
        relationships: Vec::new(),
        scaling_groups: Vec::new(),
        created_at: now,
        updated_at: now,
    }
}

/// Writes a file so that it is whole or absent, also after a crash.
fn write_durably(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(dir)?;
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(text)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    std::fs::File::open(dir)?.sync_all()
}
