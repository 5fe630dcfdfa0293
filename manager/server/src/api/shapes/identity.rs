//! Shapes of how hosts are let in.
#![expect(dead_code, reason = "only read by the description of the API")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// What lets hosts in.
#[derive(ToSchema)]
pub(in crate::api) struct EnrolmentToken {
    id: String,
    /// Labels that every agent gets that it lets in.
    labels: BTreeMap<String, String>,
    created_by: String,
    created_at: i64,
    expires_at: i64,
    uses: u32,
    used: u32,
    /// Ranges of addresses; empty = any.
    networks: Vec<String>,
    /// automatic or manual.
    approval: String,
}

/// What the manager knows of an agent's identity.
#[derive(ToSchema)]
pub(in crate::api) struct AgentIdentity {
    agent: String,
    /// pending, active, rejected or revoked.
    state: String,
    /// The token that let it in.
    token: String,
    labels: BTreeMap<String, String>,
    request_hash: String,
    machine_id: String,
    address: Option<String>,
    requested_at: i64,
    certificates: Vec<CertificateNote>,
}

#[derive(ToSchema)]
pub(in crate::api) struct CertificateNote {
    /// In hexadecimal.
    serial: String,
    not_after: i64,
}

/// What an agent is given.
#[derive(ToSchema)]
pub(in crate::api) struct IdentityGrant {
    id: String,
    /// PEM.
    certificate: String,
    /// PEM.
    authority: String,
    /// The key that tasks are verified with, in hexadecimal.
    task_key: String,
    issued_at_ms: i64,
    expires_at_ms: i64,
    labels: BTreeMap<String, String>,
}

/// The answer to a host that asks to be let in.
#[derive(ToSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub(in crate::api) enum EnrolmentAnswer {
    Granted(IdentityGrant),
    Pending { again_in_ms: u64 },
}
