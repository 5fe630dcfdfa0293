//! Node instances: hosts and their runtime properties, changed under an optimistic version.

use conductor_model::{NodeInstance, TenantName};
use conductor_store::{Store, StoreError};
use serde_json::{Map, Value, json};

use super::{Announcement, App, AppError};

/// What an update changes. What is absent stays; a map that is given replaces the stored one as a whole.
#[derive(Clone, Debug, Default)]
pub struct NodeInstancePatch {
    /// The version that the caller read; `None` = change it whatever its version.
    pub version: Option<u64>,
    /// Life-cycle state.
    pub state: Option<String>,
    /// Runtime properties.
    pub runtime_properties: Option<Map<String, Value>>,
    /// What the manager keeps of it.
    pub system_properties: Option<Map<String, Value>>,
    /// Relationships.
    pub relationships: Option<Vec<Value>>,
}

/// How often an update without a version is tried again when others change the instance meanwhile.
const FORCED_TRIES_MAX: usize = 16;

impl App {
    /// Changes a node instance. Its version grows by one.
    ///
    /// # Errors
    /// `not-found`; `stale-version` when it was changed since the caller read it.
    pub async fn update_node_instance(
        &self,
        tenant: &TenantName,
        id: &str,
        patch: NodeInstancePatch,
    ) -> Result<NodeInstance, AppError> {
        let (owner, wanted) = (tenant.clone(), id.to_owned());
        let now = crate::clock::now();
        let updated = self.read(move |store| update(store, &owner, &wanted, &patch, now)).await?;
        let updated = updated.ok_or_else(|| AppError::not_found("node instance", id))?;
        self.announce_node_instance(&updated);
        Ok(updated)
    }
}

fn update(
    store: &dyn Store,
    tenant: &TenantName,
    id: &str,
    patch: &NodeInstancePatch,
    now: conductor_model::Timestamp,
) -> Result<Option<NodeInstance>, StoreError> {
    let mut tries = 0;
    loop {
        let Some(mut instance) = store.node_instance(tenant, id)? else { return Ok(None) };
        if let Some(sent) = patch.version {
            if instance.version > sent {
                return Err(StoreError::StaleVersion { stored: instance.version, sent });
            }
            instance.version = sent;
        }
        apply(&mut instance, patch);
        instance.updated_at = now;
        match store.update_node_instance(instance) {
            Err(StoreError::StaleVersion { .. }) if patch.version.is_none() && tries < FORCED_TRIES_MAX => tries += 1,
            other => return other,
        }
    }
}

fn apply(instance: &mut NodeInstance, patch: &NodeInstancePatch) {
    if let Some(state) = &patch.state {
        instance.state.clone_from(state);
    }
    if let Some(properties) = &patch.runtime_properties {
        instance.runtime_properties.clone_from(properties);
    }
    if let Some(properties) = &patch.system_properties {
        instance.system_properties.clone_from(properties);
    }
    if let Some(relationships) = &patch.relationships {
        instance.relationships.clone_from(relationships);
    }
}

impl App {
    /// Tells those who listen.
    fn announce_node_instance(&self, instance: &NodeInstance) {
        self.announce(Announcement {
            tenant: instance.tenant.clone(),
            kind: "node-instance.updated",
            task: None,
            // A host's node instance has its agent's id.
            agent: instance.id.parse().ok().filter(|_| instance.host_id.as_deref() == Some(&instance.id)),
            data: json!({ "id": instance.id, "version": instance.version, "state": instance.state }),
        });
    }
}
