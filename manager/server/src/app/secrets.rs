//! Secrets and environment values, as the doors use them.

use std::collections::BTreeMap;

use conductor_engine::Sealed;
use conductor_model::TenantName;

use super::perform::{Vault, VaultError};
use super::{App, AppError};

/// Longest name in bytes.
const NAME_BYTES_MAX: usize = 128;
/// Largest value in bytes.
pub const SECRET_BYTES_MAX: usize = 64 * 1024;
/// Values of one kind that a tenant may keep.
const VALUES_MAX: usize = 10_000;

impl App {
    /// Stores a secret or environment value, new or again. It is used from then on.
    ///
    /// # Errors
    /// `name-invalid`; `too-large`; `too-many-values`.
    pub async fn put_value(&self, tenant: &TenantName, kind: Sealed, name: &str, value: String) -> Result<(), AppError> {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(fits) {
            let message = format!("{name:?} is no name; letters, digits, _ and - are, at most {NAME_BYTES_MAX} of them");
            return Err(AppError::invalid("name-invalid", message));
        }
        if value.len() > SECRET_BYTES_MAX {
            let (size_bytes, limit_bytes) = (value.len() as u64, SECRET_BYTES_MAX as u64);
            return Err(AppError::TooLarge { what: "the value", size_bytes, limit_bytes });
        }
        let names = self.inner.vault.names(tenant, kind);
        if names.len() >= VALUES_MAX && !names.iter().any(|known| known == name) {
            return Err(AppError::conflict(
                "too-many-values",
                format!("there are {VALUES_MAX} values already; remove some first"),
            ));
        }
        let (tenant, name) = (tenant.clone(), name.to_owned());
        self.vault(move |vault| vault.put(&tenant, kind, &name, &value)).await
    }

    /// Removes a secret or environment value.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn delete_value(&self, tenant: &TenantName, kind: Sealed, name: &str) -> Result<(), AppError> {
        let (owner, wanted) = (tenant.clone(), name.to_owned());
        let was_there = self.vault(move |vault| Ok(vault.delete(&owner, kind, &wanted)?)).await?;
        if was_there { Ok(()) } else { Err(AppError::not_found(what(kind), name)) }
    }

    /// The names of all values of a kind.
    #[must_use]
    pub fn value_names(&self, tenant: &TenantName, kind: Sealed) -> Vec<String> {
        self.inner.vault.names(tenant, kind)
    }

    /// All environment values. Secrets cannot be read back.
    #[must_use]
    pub fn environment(&self, tenant: &TenantName) -> BTreeMap<String, String> {
        let vault = &self.inner.vault;
        let names = vault.names(tenant, Sealed::Environment);
        names.into_iter().filter_map(|name| Some((name.clone(), vault.look_up(tenant, Sealed::Environment, &name)?))).collect()
    }

    async fn vault<T, F>(&self, act: F) -> Result<T, AppError>
    where
        T: Send + 'static,
        F: FnOnce(&Vault) -> Result<T, VaultError> + Send + 'static,
    {
        let vault = std::sync::Arc::clone(&self.inner.vault);
        match tokio::task::spawn_blocking(move || act(&vault)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(VaultError::Store(error))) => Err(error.into()),
            Ok(Err(error)) => Err(AppError::Internal { operation: "keeping a secret", source: Box::new(error) }),
            Err(error) => Err(AppError::Internal { operation: "keeping a secret", source: Box::new(error) }),
        }
    }
}

fn what(kind: Sealed) -> &'static str {
    match kind {
        Sealed::Secret => "secret",
        Sealed::Environment => "environment value",
    }
}
