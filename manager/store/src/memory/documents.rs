//! Registered documents in memory.

use conductor_model::TenantName;

use super::state::State;
use crate::{Document, DocumentKind, Putting};

impl State {
    pub(super) fn put_document(&mut self, document: Document, putting: Putting) -> bool {
        let key = (document.kind, document.tenant.clone(), document.name.clone(), document.version);
        let there = self.documents.contains_key(&key);
        let put = match putting {
            Putting::New => !there,
            Putting::Again => there,
            Putting::Either => true,
        };
        if put {
            self.documents.insert(key, document);
        }
        put
    }

    /// Of one tenant, or of all.
    pub(super) fn documents(&self, tenant: Option<&TenantName>, kind: DocumentKind) -> Vec<Document> {
        let wanted = |document: &&Document| document.kind == kind && tenant.is_none_or(|tenant| document.tenant == *tenant);
        self.documents.values().filter(wanted).cloned().collect()
    }

    pub(super) fn document(
        &self,
        tenant: &TenantName,
        kind: DocumentKind,
        name: &str,
        version: Option<i32>,
    ) -> Option<Document> {
        let (low, high) = version.map_or((i32::MIN, i32::MAX), |version| (version, version));
        let key = |version| (kind, tenant.clone(), name.to_owned(), version);
        self.documents.range(key(low)..=key(high)).next_back().map(|(_, document)| document.clone())
    }

    pub(super) fn delete_document(
        &mut self,
        tenant: &TenantName,
        kind: DocumentKind,
        name: &str,
        version: Option<i32>,
    ) -> bool {
        let before = self.documents.len();
        self.documents.retain(|_, document| {
            let same = document.kind == kind && document.tenant == *tenant && document.name == name;
            !(same && version.is_none_or(|version| document.version == version))
        });
        self.documents.len() < before
    }
}
