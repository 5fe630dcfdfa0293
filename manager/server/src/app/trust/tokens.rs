//! Enrolment tokens: made, listed, deleted.

use std::collections::BTreeMap;

use conductor_model::TenantName;
use conductor_store::DocumentKind;
use conductor_wire::identity::EnrolmentString;
use rand::RngCore;
use serde::{Deserialize, Serialize};

use super::record::{Approval, EnrolmentToken, Network};
use super::{document, read};
use crate::app::{App, AppError, Caller, token_hash};
use crate::clock;

/// Longest life of a token: 90 days.
const LIFE_SECONDS_MAX: u64 = 90 * 24 * 3600;
/// Most agents that one token lets in.
const USES_MAX: u32 = 100_000;
/// Most tokens of one tenant.
const TOKENS_MAX: usize = 1000;
/// Most labels and networks of a token.
const ENTRIES_MAX: usize = 64;
/// The label that says in which pool an agent is.
const POOL_LABEL: &str = "pool";

/// What a token shall be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NewToken {
    /// Labels that every agent gets that it lets in.
    pub labels: BTreeMap<String, String>,
    /// The pool that they are in.
    pub pool: Option<String>,
    /// Its life, in seconds.
    pub ttl_seconds: u64,
    /// How many agents it may let in.
    pub uses: u32,
    /// Hosts' addresses; empty = any.
    pub networks: Vec<Network>,
    /// Whether somebody must say yes to each host.
    pub approval: Approval,
}

impl Default for NewToken {
    fn default() -> Self {
        Self {
            labels: BTreeMap::new(),
            pool: None,
            ttl_seconds: 3600,
            uses: 1,
            networks: Vec::new(),
            approval: Approval::Automatic,
        }
    }
}

/// A token that was just made; its secret is shown this once.
#[derive(Clone, Debug, Serialize)]
pub struct TokenMade {
    /// What is kept of it.
    #[serde(flatten)]
    pub token: EnrolmentToken,
    /// All that a host must be told.
    pub enrolment_string: String,
    /// What to paste on a host.
    pub installer: String,
}

impl App {
    /// Makes a token that lets hosts in.
    ///
    /// # Errors
    /// `enrolment-token-invalid`; `too-many-enrolment-tokens`; `tls-off` where there is nothing to pin.
    pub async fn create_enrolment_token(&self, caller: &Caller, new: NewToken) -> Result<TokenMade, AppError> {
        let Some(pin) = self.inner.trust.authority.server_pin().filter(|_| self.inner.settings.tls.enabled) else {
            let message = "this manager speaks plain text (tls.enabled = false), so that no host could know it; agents beside it \
                           are given an API token instead";
            return Err(AppError::conflict("tls-off", message));
        };
        let labels = check(&new)?;
        let _one_at_a_time = self.inner.trust.changing.lock().await;
        let now = clock::now();
        let mut there = self.enrolment_tokens(&caller.tenant).await?;
        there.retain(|token| token.expires_at > now);
        if there.len() >= TOKENS_MAX {
            let message = format!("there are {TOKENS_MAX} enrolment tokens; delete some first");
            return Err(AppError::conflict("too-many-enrolment-tokens", message));
        }
        let (id, secret) = (random_hex(6), random_hex(24));
        let whole = format!("{id}.{secret}");
        let token = EnrolmentToken {
            id,
            hash: token_hash(&whole),
            labels,
            created_by: caller.name.to_string(),
            created_at: now,
            expires_at: now.plus_seconds(i64::try_from(new.ttl_seconds).unwrap_or(i64::MAX)),
            uses: new.uses,
            used: 0,
            networks: new.networks,
            approval: new.approval,
        };
        let (document, putting) = document(&caller.tenant, DocumentKind::EnrolmentToken, &token.id, &token)?;
        self.read(move |store| store.put_document(document, putting)).await?;
        self.note_trust(&caller.tenant, "enrolment-token.created", None, &caller.name, &token.id);
        let trust = &self.inner.trust;
        let manager = self.inner.settings.public_address();
        let string = EnrolmentString { manager: manager.clone(), fingerprint: trust.authority.fingerprint(), token: whole };
        let enrolment_string = string.to_string();
        // The host does not know the authority yet, but the line names the one key that it shall believe.
        let installer = format!(
            "curl -fsS --insecure --pinnedpubkey {pin} {manager}/install | sh -s -- --from {manager} --pin {pin} {enrolment_string}"
        );
        Ok(TokenMade { token, enrolment_string, installer })
    }

    /// A tenant's tokens, by id, spent and expired ones too until they are deleted.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn enrolment_tokens(&self, tenant: &TenantName) -> Result<Vec<EnrolmentToken>, AppError> {
        let owner = tenant.clone();
        let documents = self.read(move |store| store.documents(Some(&owner), DocumentKind::EnrolmentToken)).await?;
        Ok(documents.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Deletes a token; agents that it let in stay.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn delete_enrolment_token(&self, caller: &Caller, id: &str) -> Result<(), AppError> {
        let _one_at_a_time = self.inner.trust.changing.lock().await;
        let (owner, wanted) = (caller.tenant.clone(), id.to_owned());
        let kind = DocumentKind::EnrolmentToken;
        if !self.read(move |store| store.delete_document(&owner, kind, &wanted, None)).await? {
            return Err(AppError::not_found("enrolment token", id));
        }
        self.note_trust(&caller.tenant, "enrolment-token.deleted", None, &caller.name, id);
        Ok(())
    }
}

/// The labels with the pool among them.
fn check(new: &NewToken) -> Result<BTreeMap<String, String>, AppError> {
    let wrong = |message: String| Err(AppError::invalid("enrolment-token-invalid", message));
    if new.ttl_seconds == 0 || new.ttl_seconds > LIFE_SECONDS_MAX {
        return wrong(format!("ttl_seconds is {}; it must be between 1 and {LIFE_SECONDS_MAX}", new.ttl_seconds));
    }
    if new.uses == 0 || new.uses > USES_MAX {
        return wrong(format!("uses is {}; it must be between 1 and {USES_MAX}", new.uses));
    }
    if new.labels.len() > ENTRIES_MAX || new.networks.len() > ENTRIES_MAX {
        return wrong(format!("at most {ENTRIES_MAX} labels and {ENTRIES_MAX} networks are taken"));
    }
    let mut labels = new.labels.clone();
    if let Some(pool) = &new.pool
        && labels.insert(POOL_LABEL.to_owned(), pool.clone()).is_some_and(|before| before != *pool)
    {
        return wrong(format!("the label {POOL_LABEL} and the pool differ"));
    }
    Ok(labels)
}

fn random_hex(bytes: usize) -> String {
    let mut secret = vec![0; bytes];
    rand::rng().fill_bytes(&mut secret);
    hex::encode(secret)
}
