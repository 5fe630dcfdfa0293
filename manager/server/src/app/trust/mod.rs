//! Who is let in as an agent: enrolment, certificates, and their end.
//!
//! Every agent with a certificate has a record of it, which says which serial numbers are good. The records are documents in
//! the store; a copy in memory answers for each request. One change is made at a time.

mod account;
mod enrol;
mod record;
mod revoke;
mod tokens;

pub use enrol::Enrolling;
pub use record::{AgentIdentity, Approval, EnrolmentToken, IdentityState, Network};
pub use tokens::{NewToken, TokenMade};

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use conductor_model::{AgentId, TenantName, Timestamp};
use conductor_store::{Document, DocumentKind, Putting, Store, StoreError};

use crate::pki::{Authority, TaskSigner};

/// Version of documents of kinds without versions.
const ONLY_VERSION: i32 = 1;

/// Keys, and the agents that are known by their certificates.
#[derive(Debug)]
pub struct Trust {
    authority: Authority,
    signer: Arc<TaskSigner>,
    known: RwLock<HashMap<AgentId, (TenantName, Arc<AgentIdentity>)>>,
    /// One change at a time: what is counted must not be counted twice.
    changing: tokio::sync::Mutex<()>,
}

impl Trust {
    /// Reads who is known.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open(authority: Authority, signer: TaskSigner, store: &dyn Store) -> Result<Self, StoreError> {
        let mut known = HashMap::new();
        for document in store.documents(None, DocumentKind::AgentIdentity)? {
            let identity: AgentIdentity = read(&document)?;
            known.insert(identity.agent.clone(), (document.tenant, Arc::new(identity)));
        }
        let (signer, known) = (Arc::new(signer), RwLock::new(known));
        Ok(Self { authority, signer, known, changing: tokio::sync::Mutex::default() })
    }

    /// The certificate authority.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// What signs tasks.
    #[must_use]
    pub fn signer(&self) -> &Arc<TaskSigner> {
        &self.signer
    }

    /// An agent's identity.
    #[must_use]
    pub fn identity(&self, agent: &AgentId) -> Option<(TenantName, Arc<AgentIdentity>)> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(agent).cloned()
    }

    /// All identities of a tenant, by agent.
    #[must_use]
    pub fn identities(&self, tenant: &TenantName) -> Vec<Arc<AgentIdentity>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> =
            known.values().filter(|(owner, _)| owner == tenant).map(|(_, identity)| identity.clone()).collect();
        all.sort_by(|one, other| one.agent.cmp(&other.agent));
        all
    }

    /// Whose certificate this is, if it is good for anything at the moment.
    ///
    /// # Errors
    /// Why it is not.
    pub fn admit(&self, agent: &AgentId, serial: &str, now: Timestamp) -> Result<TenantName, NotAdmitted> {
        let Some((tenant, identity)) = self.identity(agent) else { return Err(NotAdmitted::Unknown) };
        match identity.state {
            IdentityState::Revoked => Err(NotAdmitted::Revoked),
            IdentityState::Pending | IdentityState::Rejected => Err(NotAdmitted::Unknown),
            IdentityState::Active => match identity.certificates.iter().find(|note| note.serial == serial) {
                Some(note) if note.not_after > now => Ok(tenant),
                Some(_) => Err(NotAdmitted::Expired),
                None => Err(NotAdmitted::Unknown),
            },
        }
    }

    /// Keys of their own for a test, and nobody known.
    #[cfg(test)]
    pub(crate) fn for_tests(settings: &crate::config::Settings) -> (Arc<Self>, Arc<crate::accounts::Accounts>) {
        let dir = tempfile::tempdir().unwrap();
        let now = crate::clock::now();
        let authority = Authority::open_or_create(dir.path(), now).unwrap();
        authority.ensure_server("server", &settings.server_names(), now).unwrap();
        let signer = TaskSigner::open_or_create(dir.path()).unwrap();
        let accounts = crate::accounts::Accounts::new(settings, authority.certificate_pem(), b"test").unwrap();
        let trust = Self::open(authority, signer, &conductor_store::MemoryStore::new()).unwrap();
        (Arc::new(trust), Arc::new(accounts))
    }

    fn remember(&self, tenant: &TenantName, identity: AgentIdentity) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(identity.agent.clone(), (tenant.clone(), Arc::new(identity)));
    }

    fn forget(&self, agent: &AgentId) {
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(agent);
    }
}

/// Why a certificate is good for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAdmitted {
    /// The manager did not make it, or a later one took its place.
    Unknown,
    /// It was taken back.
    Revoked,
    /// Its time is over.
    Expired,
}

fn read<T: serde::de::DeserializeOwned>(document: &Document) -> Result<T, StoreError> {
    serde_json::from_str(&document.body).map_err(|error| StoreError::Backend {
        operation: "reading who is let in",
        message: format!("{}: {error}", document.name),
    })
}

fn document<T: serde::Serialize>(
    tenant: &TenantName,
    kind: DocumentKind,
    name: &str,
    value: &T,
) -> Result<(Document, Putting), StoreError> {
    let body = serde_json::to_string(value)
        .map_err(|error| StoreError::Backend { operation: "writing who is let in", message: error.to_string() })?;
    let document = Document { tenant: tenant.clone(), kind, name: name.to_owned(), version: ONLY_VERSION, body };
    Ok((document, Putting::Either))
}
