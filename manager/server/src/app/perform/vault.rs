//! Secrets and environment values. Secrets are sealed before they are stored (ChaCha20-Poly1305) with a key in a file that
//! only the manager may read; in memory they are open, for the moments in which tasks are handed over.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use conductor_engine::{PerformFailure, Sealed};
use conductor_model::TenantName;
use conductor_store::{Document, DocumentKind, Putting, Store, StoreError};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::Value;
use thiserror::Error;

/// Length of the key in bytes.
const KEY_BYTES: usize = 32;
/// Secrets shorter than this are not blotted out of results: they would blot out innocent text too.
const HUSH_BYTES_MIN: usize = 4;
/// What stands in place of a secret.
const HUSHED: &str = "***";

/// Why a secret cannot be kept or read.
#[derive(Debug, Error)]
pub enum VaultError {
    /// The file of the key cannot be made or read.
    #[error("the key of secrets in {path} cannot be used")]
    KeyFile {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The key does not fit, or the row was changed by somebody else.
    #[error("a value cannot be sealed, or was sealed with another key")]
    Key,
    /// The store refused.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

type Values = HashMap<(TenantName, Kind), BTreeMap<String, Arc<str>>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Secret,
    Environment,
}

impl From<Sealed> for Kind {
    fn from(sealed: Sealed) -> Self {
        match sealed {
            Sealed::Secret => Self::Secret,
            Sealed::Environment => Self::Environment,
        }
    }
}

impl Kind {
    fn document(self) -> DocumentKind {
        match self {
            Self::Secret => DocumentKind::Secret,
            Self::Environment => DocumentKind::Environment,
        }
    }
}

/// See the module's text.
pub struct Vault {
    store: Arc<dyn Store>,
    key_file: PathBuf,
    /// Made or read when it is first needed.
    key: Mutex<Option<Arc<LessSafeKey>>>,
    open: RwLock<Values>,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("key_file", &self.key_file).finish_non_exhaustive()
    }
}

impl Vault {
    /// Opens everything that is stored.
    ///
    /// # Errors
    /// When the store cannot be read. A secret that cannot be opened is told in the log and counts as absent.
    pub fn open(store: Arc<dyn Store>, key_file: PathBuf) -> Result<Self, StoreError> {
        let vault = Self { store, key_file, key: Mutex::default(), open: RwLock::default() };
        for kind in [Kind::Secret, Kind::Environment] {
            for document in vault.store.documents(None, kind.document())? {
                let value = match kind {
                    Kind::Environment => Ok(document.body.clone()),
                    Kind::Secret => vault.unseal(&document),
                };
                match value {
                    Ok(value) => vault.keep(document.tenant, kind, document.name, &value),
                    Err(error) => tracing::error!(name = %document.name, %error, "a secret cannot be opened"),
                }
            }
        }
        Ok(vault)
    }

    /// Stores a value, new or again.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn put(&self, tenant: &TenantName, sealed: Sealed, name: &str, value: &str) -> Result<(), VaultError> {
        let kind = Kind::from(sealed);
        let body = match kind {
            Kind::Environment => value.to_owned(),
            Kind::Secret => self.seal(tenant, name, value)?,
        };
        let document = Document { tenant: tenant.clone(), kind: kind.document(), name: name.to_owned(), version: 1, body };
        self.store.put_document(document, Putting::Either)?;
        self.keep(tenant.clone(), kind, name.to_owned(), value);
        Ok(())
    }

    /// Removes a value; false = there was none.
    ///
    /// # Errors
    /// When the store fails.
    pub fn delete(&self, tenant: &TenantName, sealed: Sealed, name: &str) -> Result<bool, StoreError> {
        let kind = Kind::from(sealed);
        let was_there = self.store.delete_document(tenant, kind.document(), name, None)?;
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(values) = open.get_mut(&(tenant.clone(), kind)) {
            values.remove(name);
        }
        Ok(was_there)
    }

    /// The names of a tenant's values.
    #[must_use]
    pub fn names(&self, tenant: &TenantName, sealed: Sealed) -> Vec<String> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        open.get(&(tenant.clone(), sealed.into())).map(|values| values.keys().cloned().collect()).unwrap_or_default()
    }

    /// A value. A name may go on with the members of a value that is JSON: `db.password`.
    #[must_use]
    pub fn look_up(&self, tenant: &TenantName, sealed: Sealed, name: &str) -> Option<String> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let values = open.get(&(tenant.clone(), sealed.into()))?;
        if let Some(value) = values.get(name) {
            return Some(value.to_string());
        }
        let (name, path) = name.split_once('.')?;
        let value: Value = serde_json::from_str(values.get(name)?).ok()?;
        let found = path.split('.').try_fold(&value, |value, key| value.get(key))?;
        Some(found.as_str().map_or_else(|| found.to_string(), str::to_owned))
    }

    fn keep(&self, tenant: TenantName, kind: Kind, name: String, value: &str) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.entry((tenant, kind)).or_default().insert(name, Arc::from(value));
    }

    fn seal(&self, tenant: &TenantName, name: &str, value: &str) -> Result<String, VaultError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| VaultError::Key)?;
        let mut text = value.as_bytes().to_vec();
        let sealed = self.key()?.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), place(tenant, name), &mut text);
        sealed.map_err(|_| VaultError::Key)?;
        Ok(format!("{}{}", hex::encode(nonce), hex::encode(text)))
    }

    fn unseal(&self, document: &Document) -> Result<String, VaultError> {
        let bytes = hex::decode(&document.body).map_err(|_| VaultError::Key)?;
        let (nonce, text) = bytes.split_at_checked(NONCE_LEN).ok_or(VaultError::Key)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::Key)?;
        let mut text = text.to_vec();
        let open = self.key()?;
        let plain = open.open_in_place(nonce, place(&document.tenant, &document.name), &mut text);
        String::from_utf8(plain.map_err(|_| VaultError::Key)?.to_vec()).map_err(|_| VaultError::Key)
    }

    fn key(&self) -> Result<Arc<LessSafeKey>, VaultError> {
        let mut key = self.key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = key.as_ref() {
            return Ok(Arc::clone(key));
        }
        let failed = |source| VaultError::KeyFile { path: self.key_file.clone(), source };
        let bytes = read_or_make(&self.key_file).map_err(failed)?;
        let unbound = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| VaultError::Key)?;
        Ok(Arc::clone(key.insert(Arc::new(LessSafeKey::new(unbound)))))
    }
}

/// Binds a sealed value to its place: moved to another row, it cannot be opened.
fn place(tenant: &TenantName, name: &str) -> Aad<String> {
    Aad::from(format!("{tenant}/{name}"))
}

/// The key of the file, which is made where there is none.
fn read_or_make(path: &Path) -> io::Result<Vec<u8>> {
    match std::fs::read_to_string(path) {
        Ok(text) => hex::decode(text.trim()).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut key = [0; KEY_BYTES];
            SystemRandom::new().fill(&mut key).map_err(|_| io::Error::other("no randomness"))?;
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
            writeln!(file, "{}", hex::encode(key))?;
            file.sync_all()?;
            Ok(key.to_vec())
        }
        Err(error) => Err(error),
    }
}

/// A result without the secrets that went into it: what echoes one does not store it.
pub(super) fn hush(result: Result<Value, PerformFailure>, secrets: &[String]) -> Result<Value, PerformFailure> {
    let mut secrets: Vec<_> = secrets.iter().filter(|secret| secret.len() >= HUSH_BYTES_MIN).collect();
    if secrets.is_empty() {
        return result;
    }
    // A secret that holds another goes first.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    let hush_text = |text: &mut String| {
        for secret in &secrets {
            if text.contains(secret.as_str()) {
                *text = text.replace(secret.as_str(), HUSHED);
            }
        }
    };
    match result {
        Ok(mut value) => {
            each_text(&mut value, &hush_text);
            Ok(value)
        }
        Err(mut failure) => {
            hush_text(&mut failure.message);
            Err(failure)
        }
    }
}

fn each_text(value: &mut Value, act: &impl Fn(&mut String)) {
    match value {
        Value::String(text) => act(text),
        Value::Array(list) => list.iter_mut().for_each(|element| each_text(element, act)),
        Value::Object(map) => {
            for (mut key, mut value) in std::mem::take(map) {
                act(&mut key);
                each_text(&mut value, act);
                map.insert(key, value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
