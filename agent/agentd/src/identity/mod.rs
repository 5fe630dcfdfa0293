//! Who this agent is: its key, its certificate, and whom it believes.
//!
//! The folder `identity` has `agent.key` (made on the host, never leaves it), `agent.crt`, `ca.crt` and `identity.json`, which
//! is written last: without it there is no identity. `request.json` is there while a host waits to be let in.

mod enrol;
#[cfg(test)]
mod enrol_tests;
mod files;
mod renew;

pub use enrol::{EnrolError, Enrolment, enrol};
pub use renew::{Renewed, keep as keep_renewed};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use conductor_model::{AgentId, Timestamp};
use conductor_wire::identity::IdentityGrant;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The folder of an agent's identity in its data directory.
#[must_use]
pub fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("identity")
}

/// An agent's identity.
#[derive(Clone)]
pub struct Identity {
    /// What is written of it.
    pub note: IdentityNote,
    /// The agent's key, PEM.
    pub key: String,
    /// Its certificate, PEM.
    pub certificate: String,
    /// The authority's certificate, PEM.
    pub authority: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("note", &self.note).finish_non_exhaustive()
    }
}

/// `identity.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityNote {
    /// The agent's id.
    pub id: AgentId,
    /// The manager's address.
    pub manager: String,
    /// The key that tasks are verified with, in hexadecimal.
    pub task_key: String,
    /// The certificate is good from then (manager's clock).
    pub issued_at: Timestamp,
    /// The certificate is good until then (manager's clock).
    pub expires_at: Timestamp,
    /// What operators said of this host when they let it in.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// Why there is no identity to be used.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// A file cannot be read or written.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A file has something else than it should.
    #[error("{path} is damaged: {message}; give this host a new identity (conductor-agent enroll --again)")]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// A key or a request cannot be made.
    #[error("cannot make a key or a certificate request")]
    Make(#[source] rcgen::Error),
}

impl Identity {
    /// The identity in `dir`; `None` when this host was not enrolled.
    ///
    /// # Errors
    /// When it is there and cannot be used.
    pub fn load(dir: &Path) -> Result<Option<Self>, IdentityError> {
        let path = dir.join("identity.json");
        let Some(text) = files::read(&path)? else { return Ok(None) };
        let note = serde_json::from_str(&text)
            .map_err(|error| IdentityError::Damaged { path: path.clone(), message: error.to_string() })?;
        let part = |name: &str| {
            let path = dir.join(name);
            files::read(&path)?.ok_or_else(|| IdentityError::Damaged { path, message: "it is missing".to_owned() })
        };
        Ok(Some(Self { note, key: part("agent.key")?, certificate: part("agent.crt")?, authority: part("ca.crt")? }))
    }

    /// Keeps what the manager gave.
    fn store(dir: &Path, manager: &str, key: &str, grant: IdentityGrant) -> Result<Self, IdentityError> {
        let note = IdentityNote {
            id: grant.id,
            manager: manager.to_owned(),
            task_key: grant.task_key,
            issued_at: Timestamp(grant.issued_at_ms),
            expires_at: Timestamp(grant.expires_at_ms),
            labels: grant.labels,
        };
        let path = dir.join("identity.json");
        let text = serde_json::to_string_pretty(&note)
            .map_err(|error| IdentityError::Damaged { path: path.clone(), message: error.to_string() })?;
        files::write(&dir.join("agent.key"), key)?;
        files::write(&dir.join("ca.crt"), &grant.authority)?;
        files::write(&dir.join("agent.crt"), &grant.certificate)?;
        files::write(&path, &text)?;
        Ok(Self { note, key: key.to_owned(), certificate: grant.certificate, authority: grant.authority })
    }

    /// A request for a certificate of this key.
    fn request_of(key_pem: &str) -> Result<String, IdentityError> {
        let key = rcgen::KeyPair::from_pem(key_pem).map_err(IdentityError::Make)?;
        let mut params = rcgen::CertificateParams::default();
        // The manager decides what stands in the certificate; only the key counts.
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.serialize_request(&key).and_then(|request| request.pem()).map_err(IdentityError::Make)
    }
}
