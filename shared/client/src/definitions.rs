//! What became of definitions, and locks on them.

use conductor_model::Timestamp;
use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agents::Items;
use crate::{Client, ClientError};

/// One accepted change of the definitions of a name.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct RevisionView {
    /// From 1, in order of time.
    pub number: u32,
    /// The version that was changed; absent for task definitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Whether the definition was removed, not stored.
    pub deleted: bool,
    /// What was stored, where one revision is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Value>,
}

/// How two states of a definition differ.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct DifferenceView {
    /// The one before; absent = there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The one after.
    pub to: String,
    /// A JSON Patch whose operations also have what was there before.
    pub changes: Vec<Value>,
}

/// A lock on a definition.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct LockView {
    /// `task` or `workflow`.
    pub kind: String,
    /// The definition's name.
    pub name: String,
    /// Its version; absent for task definitions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// Who locked it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where what became of a definition is asked for; `kind` is `task` or `workflow`.
fn path<'p>(kind: &'p str, name: &'p str, rest: &[&'p str]) -> Vec<&'p str> {
    [&["api", "v1", "definitions", kind, name][..], rest].concat()
}

impl Client {
    /// What was stored and removed under a name, the newest first.
    ///
    /// # Errors
    /// When nothing ever was.
    pub async fn revisions(&self, kind: &str, name: &str) -> Result<Vec<RevisionView>, ClientError> {
        let call = self.call(Method::GET, &path(kind, name, &["revisions"]), &[]);
        Ok(call.read::<Items<RevisionView>>().await?.items)
    }

    /// One revision with what was stored.
    ///
    /// # Errors
    /// When there is none.
    pub async fn revision(&self, kind: &str, name: &str, number: u32) -> Result<RevisionView, ClientError> {
        self.call(Method::GET, &path(kind, name, &["revisions", &number.to_string()]), &[]).read().await
    }

    /// How two states of a definition differ, each the number of a revision or `v` and a version.
    ///
    /// # Errors
    /// When there is no such state.
    pub async fn difference(
        &self,
        kind: &str,
        name: &str,
        from: Option<&str>,
        to: Option<&str>,
    ) -> Result<DifferenceView, ClientError> {
        let pairs = [("from", from), ("to", to)].into_iter().filter_map(|(key, value)| Some((key, value?.to_owned())));
        self.call(Method::GET, &path(kind, name, &["diff"]), &pairs.collect::<Vec<_>>()).read().await
    }

    /// Locks a definition; the highest version where none is named.
    ///
    /// # Errors
    /// When there is none.
    pub async fn lock_definition(
        &self,
        kind: &str,
        name: &str,
        version: Option<i32>,
        reason: Option<&str>,
    ) -> Result<LockView, ClientError> {
        let mut pairs: Vec<_> = version.map(|version| ("version", version.to_string())).into_iter().collect();
        pairs.extend(reason.map(|reason| ("reason", reason.to_owned())));
        self.call(Method::PUT, &path(kind, name, &["lock"]), &pairs).read().await
    }

    /// Takes the lock off a definition.
    ///
    /// # Errors
    /// When there is none.
    pub async fn unlock_definition(&self, kind: &str, name: &str, version: Option<i32>) -> Result<(), ClientError> {
        let pairs: Vec<_> = version.map(|version| ("version", version.to_string())).into_iter().collect();
        self.call(Method::DELETE, &path(kind, name, &["lock"]), &pairs).done().await
    }

    /// All locks.
    ///
    /// # Errors
    /// When the manager refuses or does not answer.
    pub async fn definition_locks(&self) -> Result<Vec<LockView>, ClientError> {
        let call = self.call(Method::GET, &["api", "v1", "definitions", "locks"], &[]);
        Ok(call.read::<Items<LockView>>().await?.items)
    }
}
