//! Who may ask. One admin token is made at first start; hashes are stored, never tokens.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use conductor_model::{AgentId, TenantName};
use conductor_store::Store;
use rand::RngCore;
use sha2::{Digest, Sha256};

use super::{App, AppError};
use crate::clock;

/// Prefix of every API token, so that scanners find one that leaked.
const TOKEN_PREFIX: &str = "cdt_";

/// Who makes a request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whose data it may see.
    pub tenant: TenantName,
    /// Name of its token, or of the agent.
    pub name: Arc<str>,
    /// The agent, where it is one that shows its certificate.
    pub agent: Option<AgentId>,
    /// The serial number of that certificate.
    pub serial: Option<String>,
}

impl App {
    /// Whose token this is; `None` = nobody's.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Caller>, AppError> {
        let hash = token_hash(token);
        let found = self.read(move |store| store.token(&hash)).await?;
        Ok(found.map(|(tenant, name)| Caller { tenant, name: name.into(), agent: None, serial: None }))
    }
}

/// What is stored of a token: the SHA-256 of its text, in hexadecimal.
#[must_use]
pub fn token_hash(token: &str) -> String {
    hex::encode(token_digest(token))
}

/// The SHA-256 of a token's text.
pub type TokenDigest = [u8; 32];

/// What [`token_hash`] writes in hexadecimal.
#[must_use]
pub fn token_digest(token: &str) -> TokenDigest {
    Sha256::digest(token.as_bytes()).into()
}

/// Makes the admin token when there is none yet, writes it to `file` (readable by its owner alone) and stores its hash.
///
/// # Errors
/// When the file cannot be written or the store fails; then no token was made.
pub fn ensure_admin_token(store: &dyn Store, file: &Path) -> Result<(), AppError> {
    if store.count_tokens()? > 0 {
        return Ok(());
    }
    let mut secret = [0_u8; 32];
    rand::rng().fill_bytes(&mut secret);
    let token = format!("{TOKEN_PREFIX}{}", hex::encode(secret));
    write_secret(file, &token)
        .map_err(|source| AppError::Internal { operation: "writing the admin token", source: Box::new(source) })?;
    store.put_token(&token_hash(&token), &TenantName::default_tenant(), "admin", clock::now())?;
    tracing::info!(file = %file.display(), "first start: the admin token was made; it stands in this file");
    Ok(())
}

fn write_secret(file: &Path, secret: &str) -> std::io::Result<()> {
    let mut out = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    out.write_all(secret.as_bytes())?;
    out.write_all(b"\n")?;
    out.sync_all()
}
