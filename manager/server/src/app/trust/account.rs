//! Agents' users on the broker that are to be removed. RabbitMQ may be away when an agent is forgotten or revoked; that its user
//! has to go is stored first, and it is tried again until it is gone.

use std::time::Duration;

use conductor_model::{AgentId, TenantName};
use conductor_store::DocumentKind;
use tokio::sync::watch;

use super::{IdentityState, document};
use crate::accounts::AccountsError;
use crate::app::{App, AppError};

/// How often it is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(15);

impl App {
    /// Stores that an agent's user has to go.
    pub(super) async fn note_account(&self, tenant: &TenantName, agent: &AgentId) -> Result<(), AppError> {
        if !self.inner.accounts.are_own() {
            return Ok(());
        }
        let (document, putting) = document(tenant, DocumentKind::AccountToRemove, agent.as_str(), &agent)?;
        self.read(move |store| store.put_document(document, putting)).await.map(drop)
    }

    /// Removes an agent's user.
    pub(super) async fn remove_account(&self, tenant: &TenantName, agent: &AgentId) -> Result<(), AccountsError> {
        self.inner.accounts.remove(agent).await?;
        if let Err(error) = self.forget_account(tenant, agent).await {
            tracing::warn!(%agent, %error, "it could not be stored that the agent's user is gone; it is removed once more");
        }
        Ok(())
    }

    async fn forget_account(&self, tenant: &TenantName, agent: &AgentId) -> Result<(), AppError> {
        if !self.inner.accounts.are_own() {
            return Ok(());
        }
        let (tenant, name) = (tenant.clone(), agent.to_string());
        let deleted = self.read(move |store| store.delete_document(&tenant, DocumentKind::AccountToRemove, &name, None));
        deleted.await.map(drop)
    }

    /// Removes what has to go, again and again until `shutdown` turns true.
    pub(crate) async fn remove_accounts(self, mut shutdown: watch::Receiver<bool>) {
        loop {
            let removed = tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return,
                removed = self.remove_left_accounts() => removed,
            };
            if let Err(error) = removed {
                tracing::warn!(%error, "agents that were forgotten or revoked still have users on RabbitMQ; trying again");
            }
            tokio::select! {
                _ = shutdown.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(AGAIN_AFTER) => {}
            }
        }
    }

    /// Removes what has to go, once.
    ///
    /// # Errors
    /// When RabbitMQ or the store cannot be asked; what is left is tried again.
    pub(crate) async fn remove_left_accounts(&self) -> Result<(), AppError> {
        let mut left = Ok(());
        for document in self.read(|store| store.documents(None, DocumentKind::AccountToRemove)).await? {
            // A name that cannot be read is nobody's.
            let Ok(agent) = document.name.parse::<AgentId>() else { continue };
            let _one_at_a_time = self.inner.trust.changing.lock().await;
            if self.is_let_in(&document.tenant, &agent).await? {
                self.forget_account(&document.tenant, &agent).await?;
                continue;
            }
            // One that cannot be removed keeps no other.
            if let Err(error) = self.remove_account(&document.tenant, &agent).await {
                left = Err(AppError::Unavailable { reason: format!("{agent}: {}", conductor_boot::report(&error)) });
                continue;
            }
            tracing::info!(target: "audit", %agent, "the user on RabbitMQ of an agent that was forgotten or revoked is removed");
        }
        left
    }

    /// Whether an agent of that name was let in again meanwhile, so that the user is its own.
    async fn is_let_in(&self, tenant: &TenantName, agent: &AgentId) -> Result<bool, AppError> {
        match self.inner.trust.identity(agent) {
            Some((_, identity)) => Ok(identity.state == IdentityState::Active),
            None => Ok(self.agents(tenant).await?.iter().any(|view| view.record.id == *agent)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::http::{Method, StatusCode};
    use conductor_store::{MemoryStore, Store};

    use super::*;
    use crate::app::tests::{World, tenant};
    use crate::config::{AgentAccounts, Settings};

    /// An address at which nobody listens.
    fn nowhere() -> SocketAddr {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    fn world(store: Arc<dyn Store>, management: SocketAddr) -> World {
        let _ = rustls::crypto::ring::default_provider().install_default();
        World::with(store, |settings: &mut Settings| {
            settings.broker.agent_accounts = AgentAccounts::Password;
            settings.broker.management_url = Some(format!("http://{management}"));
        })
    }

    /// RabbitMQ's management API comes back, and what it is asked to delete is kept.
    async fn come_back(management: SocketAddr) -> Arc<Mutex<Vec<String>>> {
        let deleted = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&deleted);
        let answer = move |method: Method, uri: axum::http::Uri| {
            if method == Method::DELETE {
                heard.lock().unwrap().push(uri.path().to_owned());
            }
            std::future::ready(StatusCode::NO_CONTENT)
        };
        let listener = tokio::net::TcpListener::bind(management).await.unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        deleted
    }

    fn left(world: &World) -> Vec<String> {
        let documents = world.store.documents(None, DocumentKind::AccountToRemove).unwrap();
        documents.into_iter().map(|document| document.name).collect()
    }

    #[tokio::test]
    async fn the_user_of_a_forgotten_agent_goes_when_rabbitmq_is_back_also_after_a_restart() {
        let management = nowhere();
        let first = world(Arc::new(MemoryStore::new()), management);
        let agent = "web-1".parse().unwrap();
        first.app.forget_identity(&tenant(), &agent).await.unwrap();
        assert!(first.app.remove_left_accounts().await.is_err());
        assert_eq!(left(&first), ["web-1"]);
        first.app.stop();
        let second = world(first.store, management);
        let deleted = come_back(management).await;
        second.app.remove_left_accounts().await.unwrap();
        assert_eq!(deleted.lock().unwrap()[0], "/api/users/agent.web-1");
        assert_eq!(left(&second), [""; 0]);
    }

    #[tokio::test]
    async fn an_agent_that_is_let_in_again_keeps_its_user() {
        let management = nowhere();
        let world = world(Arc::new(MemoryStore::new()), management);
        world.app.forget_identity(&tenant(), &"web-1".parse().unwrap()).await.unwrap();
        world.agent("web-1", ("role", "web"), 1).await;
        let deleted = come_back(management).await;
        world.app.remove_left_accounts().await.unwrap();
        assert_eq!((left(&world), deleted.lock().unwrap().len()), (Vec::new(), 0));
    }
}
