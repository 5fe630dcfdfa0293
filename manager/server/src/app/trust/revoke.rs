//! Taking identities back.

use conductor_model::{AgentId, TenantName};
use conductor_store::DocumentKind;
use serde_json::json;

use super::record::{AgentIdentity, IdentityState};
use crate::app::{Announcement, App, AppError, Caller};

impl App {
    /// Takes an agent's identity back: from now on the API refuses its certificates, and the broker forgets its user and
    /// closes its connections.
    ///
    /// # Errors
    /// `not-found`; unavailable when the broker cannot be told yet, in which case the API refuses the agent already and the
    /// broker is told as soon as it answers.
    pub async fn revoke_agent(&self, caller: &Caller, agent: &AgentId) -> Result<(), AppError> {
        {
            let _one_at_a_time = self.inner.trust.changing.lock().await;
            let known = self.inner.trust.identity(agent).filter(|(tenant, _)| *tenant == caller.tenant);
            let Some((tenant, identity)) = known else { return Err(AppError::not_found("identity of agent", agent)) };
            let revoked =
                AgentIdentity { state: IdentityState::Revoked, certificates: Vec::new(), ..AgentIdentity::clone(&identity) };
            self.keep_identity(&tenant, revoked).await?;
            self.note_account(&tenant, agent).await?;
            self.note_trust(&tenant, "agent.revoked", Some(agent), &caller.name, agent.as_str());
        }
        self.remove_account(&caller.tenant, agent).await.map_err(|error| AppError::Unavailable {
            reason: format!(
                "the API refuses agent {agent} from now on, but {error}; its user is removed there as soon as it answers"
            ),
        })
    }

    /// Forgets the identity of an agent that is forgotten.
    pub(in crate::app) async fn forget_identity(&self, tenant: &TenantName, agent: &AgentId) -> Result<(), AppError> {
        let _one_at_a_time = self.inner.trust.changing.lock().await;
        self.note_account(tenant, agent).await?;
        let (owner, name) = (tenant.clone(), agent.to_string());
        self.read(move |store| store.delete_document(&owner, DocumentKind::AgentIdentity, &name, None)).await?;
        self.inner.trust.forget(agent);
        if let Err(error) = self.remove_account(tenant, agent).await {
            tracing::warn!(%agent, %error, "the agent's user on RabbitMQ is not removed yet; trying again until it is");
        }
        Ok(())
    }

    /// Notes a change of who is let in: in the log and in the feed.
    pub(super) fn note_trust(&self, tenant: &TenantName, kind: &'static str, agent: Option<&AgentId>, by: &str, what: &str) {
        tracing::info!(target: "audit", %tenant, kind, by, what, "who is let in was changed");
        self.announce(Announcement {
            tenant: tenant.clone(),
            kind,
            task: None,
            agent: agent.cloned(),
            data: json!({ "by": by, "what": what }),
        });
    }
}
