//! Queues of tasks that wait for pollers, and who polls them.

use conductor_model::{AgentId, TenantName, WorkflowId};

use super::core::{Message, PollSeen, QueueView};
use super::{App, AppError};

impl App {
    /// Every queue with tasks in it.
    ///
    /// # Errors
    /// When the manager shuts down.
    pub async fn queues(&self, tenant: &TenantName) -> Result<Vec<QueueView>, AppError> {
        let tenant = tenant.clone();
        Ok(self.inner.core.ask(|reply| Message::Queues { tenant, reply }).await?)
    }

    /// The last poll of each worker, for one task type or for all.
    ///
    /// # Errors
    /// When the manager shuts down.
    pub async fn poll_data(&self, tenant: &TenantName, task_type: Option<&str>) -> Result<Vec<PollSeen>, AppError> {
        let (tenant, task_type) = (tenant.clone(), task_type.map(str::to_owned));
        Ok(self.inner.core.ask(|reply| Message::PollData { tenant, task_type, reply }).await?)
    }

    /// The domain that a task of a type would get if it were scheduled now and these, separated by commas, were to be had.
    /// `None` = workers without a domain.
    ///
    /// # Errors
    /// When the manager shuts down.
    pub async fn domain_of(&self, tenant: &TenantName, task_type: &str, listed: &str) -> Result<Option<String>, AppError> {
        let (tenant, task_type, listed) = (tenant.clone(), task_type.to_owned(), listed.to_owned());
        Ok(self.inner.core.ask(|reply| Message::DomainOf { tenant, task_type, listed, reply }).await?)
    }

    /// Whether the deciding thread answers; what stands in front of this question it has dealt with.
    pub(crate) async fn decides(&self) -> bool {
        // Any question does. Nobody polls for a task without a name, so that this one costs nothing.
        self.poll_data(&TenantName::default_tenant(), Some("")).await.is_ok()
    }

    /// Puts tasks of a type that wait nowhere back where pollers find them; how many wait there then.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn requeue(&self, tenant: &TenantName, task_type: &str) -> Result<u64, AppError> {
        let (tenant, task_type) = (tenant.clone(), task_type.to_owned());
        Ok(self.inner.core.ask(|reply| Message::Requeue { tenant, task_type, reply }).await?)
    }

    /// Puts what is open of a workflow back where it waits.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn look_at_workflow(&self, tenant: &TenantName, workflow: WorkflowId) -> Result<(), AppError> {
        let tenant = tenant.clone();
        Ok(self.inner.core.ask(|reply| Message::LookAgain { tenant, workflow, reply }).await?)
    }

    /// Forgets an agent. With `force` its tasks are lost, else it must have none. Its queue goes with it; where the broker
    /// cannot be reached, the queue stays, which harms nothing.
    ///
    /// # Errors
    /// `not-found`; `agent-busy`.
    pub async fn remove_agent(&self, tenant: &TenantName, agent: AgentId, force: bool) -> Result<(), AppError> {
        let (owner, id) = (tenant.clone(), agent.clone());
        let removed = self.inner.core.ask(|reply| Message::RemoveAgent { tenant: owner, agent, force, reply }).await;
        match removed.map_err(AppError::from) {
            // A removal that was cut off after its first step left an identity behind.
            Err(AppError::NotFound { .. }) if self.inner.trust.identity(&id).is_some_and(|(owner, _)| owner == *tenant) => {}
            removed => removed?,
        }
        self.forget_identity(tenant, &id).await?;
        if let Err(error) = self.inner.broker.delete_agent_queue(&id).await {
            tracing::warn!(agent = %id, %error, "the queue of an agent that was removed stays on RabbitMQ");
        }
        Ok(())
    }
}
