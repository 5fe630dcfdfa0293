//! Definitions, their revisions and locks in memory.

use std::collections::BTreeMap;

use conductor_model::{TaskDef, TenantName, Timestamp, WorkflowDef};
use serde_json::Value;

use super::state::State;
use crate::revision::{Change, change, locked};
use crate::{DefinitionKind, Document, REVISIONS_KEPT, Revision, StoreError};

impl State {
    pub(super) fn put_task_defs(&mut self, tenant: &TenantName, definitions: Vec<TaskDef>) -> Result<(), StoreError> {
        let mut added = BTreeMap::new();
        let mut changes = Vec::new();
        for definition in definitions {
            let key = (tenant.clone(), definition.name.clone());
            let before = added.get(&key).or_else(|| self.task_defs.get(&key));
            match change(&definition, before, self.lock_of(tenant, DefinitionKind::Task, &definition.name, 1))? {
                Change::None => continue,
                Change::Stamps => {}
                Change::Revision(said) => changes.push((Revision::of(&definition), definition.name.clone(), said)),
            }
            added.insert(key, definition);
        }
        self.task_defs.append(&mut added);
        self.add_revisions(tenant, DefinitionKind::Task, changes);
        Ok(())
    }

    pub(super) fn delete_task_def(
        &mut self,
        tenant: &TenantName,
        name: &str,
        by: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let key = (tenant.clone(), name.to_owned());
        if !self.task_defs.contains_key(&key) {
            return Ok(false);
        }
        self.refuse_locked(tenant, DefinitionKind::Task, name, 1)?;
        self.task_defs.remove(&key);
        self.add_revisions(tenant, DefinitionKind::Task, vec![(Revision::removal(None, by, at), name.to_owned(), Value::Null)]);
        Ok(true)
    }

    pub(super) fn put_workflow_defs(
        &mut self,
        tenant: &TenantName,
        definitions: Vec<WorkflowDef>,
        overwrite: bool,
    ) -> Result<(), StoreError> {
        let mut added = BTreeMap::new();
        let mut changes = Vec::new();
        for definition in definitions {
            let (name, version) = (definition.name.clone(), definition.version);
            let key = (tenant.clone(), name.clone(), version);
            let before = added.get(&key).or_else(|| self.workflow_defs.get(&key));
            if !overwrite && before.is_some() {
                return Err(StoreError::Exists { what: format!("workflow definition {name} version {version}") });
            }
            match change(&definition, before, self.lock_of(tenant, DefinitionKind::Workflow, &name, version))? {
                Change::None => continue,
                Change::Stamps => {}
                Change::Revision(said) => changes.push((Revision::of(&definition), name, said)),
            }
            added.insert(key, definition);
        }
        self.workflow_defs.append(&mut added);
        self.add_revisions(tenant, DefinitionKind::Workflow, changes);
        Ok(())
    }

    pub(super) fn delete_workflow_def(
        &mut self,
        tenant: &TenantName,
        name: &str,
        version: i32,
        by: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let key = (tenant.clone(), name.to_owned(), version);
        if !self.workflow_defs.contains_key(&key) {
            return Ok(false);
        }
        self.refuse_locked(tenant, DefinitionKind::Workflow, name, version)?;
        self.workflow_defs.remove(&key);
        let removal = (Revision::removal(Some(version), by, at), name.to_owned(), Value::Null);
        self.add_revisions(tenant, DefinitionKind::Workflow, vec![removal]);
        Ok(true)
    }

    /// Those of a name, the newest first.
    pub(super) fn revisions(&self, tenant: &TenantName, kind: DefinitionKind, name: &str) -> Vec<Revision> {
        let kept = self.revisions.get(&(tenant.clone(), kind, name.to_owned()));
        kept.into_iter().flatten().rev().map(|(revision, _)| revision.clone()).collect()
    }

    pub(super) fn revision(
        &self,
        tenant: &TenantName,
        kind: DefinitionKind,
        name: &str,
        number: u32,
    ) -> Option<(Revision, Value)> {
        let kept = self.revisions.get(&(tenant.clone(), kind, name.to_owned()))?;
        kept.iter().find(|(revision, _)| revision.number == number).cloned()
    }

    fn add_revisions(&mut self, tenant: &TenantName, kind: DefinitionKind, changes: Vec<(Revision, String, Value)>) {
        for (mut revision, name, said) in changes {
            let kept = self.revisions.entry((tenant.clone(), kind, name)).or_default();
            revision.number = kept.last().map_or(1, |(last, _)| last.number.saturating_add(1));
            kept.push((revision, said));
            let over = kept.len().saturating_sub(REVISIONS_KEPT);
            kept.drain(..over);
        }
    }

    fn lock_of(&self, tenant: &TenantName, kind: DefinitionKind, name: &str, version: i32) -> Option<Document> {
        self.document(tenant, kind.lock(), name, Some(version))
    }

    fn refuse_locked(&self, tenant: &TenantName, kind: DefinitionKind, name: &str, version: i32) -> Result<(), StoreError> {
        self.lock_of(tenant, kind, name, version).map_or(Ok(()), |lock| Err(locked(kind, lock)))
    }
}
