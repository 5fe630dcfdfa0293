//! What became of definitions: their revisions, how two of them differ, and locks that keep them as they are.

use conductor_model::{TenantName, Timestamp};
use conductor_store::{DefinitionKind, Document, Putting, Revision, Store, StoreError, unstamped};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::difference::{Change, difference};
use super::{App, AppError};

/// Most characters of the reason of a lock.
const REASON_CHARS_MAX: usize = 500;

/// A state of a definition that can be compared with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As a revision says, written as its number.
    Revision(u32),
    /// As a version of a workflow definition stands now, written as `v` and the version.
    Version(i32),
}

impl std::str::FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = match text.strip_prefix('v') {
            Some(version) => version.parse().ok().map(Self::Version),
            None => text.parse().ok().map(Self::Revision),
        };
        read.ok_or_else(|| format!("{text:?} is neither the number of a revision, as in 3, nor a version, as in v2"))
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Revision(number) => write!(f, "{number}"),
            Self::Version(version) => write!(f, "v{version}"),
        }
    }
}

/// How two states of a definition differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The one before; `None` = there was none.
    pub from: Option<State>,
    /// The one after.
    pub to: State,
    /// What leads from the one to the other.
    pub changes: Vec<Change>,
}

/// That a definition is neither to be overwritten by something else nor removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// What the definition defines.
    pub kind: DefinitionKind,
    /// Its name.
    pub name: String,
    /// Its version; `None` = a task definition.
    pub version: Option<i32>,
    /// Who locked it, when and why.
    pub note: LockNote,
}

/// A lock as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockNote {
    /// Who locked it: the name of a token.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl App {
    /// What was stored and removed under a name, the newest first.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn revisions(&self, tenant: &TenantName, kind: DefinitionKind, name: &str) -> Result<Vec<Revision>, AppError> {
        let (owner, wanted) = (tenant.clone(), name.to_owned());
        let found = self.read(move |store| store.revisions(&owner, kind, &wanted)).await?;
        if found.is_empty() { Err(AppError::not_found(what(kind), name)) } else { Ok(found) }
    }

    /// One revision, with what it says; null where it is a removal.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn revision(
        &self,
        tenant: &TenantName,
        kind: DefinitionKind,
        name: &str,
        number: u32,
    ) -> Result<(Revision, Value), AppError> {
        let (owner, wanted) = (tenant.clone(), name.to_owned());
        let found = self.read(move |store| store.revision(&owner, kind, &wanted, number)).await?;
        found.ok_or_else(|| missing(kind, name, State::Revision(number)))
    }

    /// How two states of the definitions of a name differ. Without `to` it is the newest revision. Without `from` it is what
    /// `to` changed: the revision before it, of the same version where there is one.
    ///
    /// # Errors
    /// `not-found`; `from-missing` where `to` is a version.
    pub async fn difference(
        &self,
        tenant: &TenantName,
        kind: DefinitionKind,
        name: &str,
        from: Option<State>,
        to: Option<State>,
    ) -> Result<Difference, AppError> {
        let all = self.revisions(tenant, kind, name).await?;
        let newest = all.first().map_or(0, |newest| newest.number);
        let to = to.unwrap_or(State::Revision(newest));
        let from = match (from, to) {
            (Some(from), _) => Some(from),
            (None, State::Revision(number)) => before(&all, number).map(State::Revision),
            (None, State::Version(_)) => {
                let message = "a version is compared with another state; say with which as `from`, as in from=v1";
                return Err(AppError::invalid("from-missing", message));
            }
        };
        let (owner, wanted) = (tenant.clone(), name.to_owned());
        let both = self.read(move |store| {
            let old = from.map(|from| said(store, &owner, kind, &wanted, from)).transpose()?;
            Ok((old, said(store, &owner, kind, &wanted, to)?))
        });
        let (old, new) = both.await?;
        let old = match (old, from) {
            (None, _) => Value::Null,
            (Some(Some(old)), _) => old,
            (Some(None), from) => return Err(missing(kind, name, from.unwrap_or(to))),
        };
        let new = new.ok_or_else(|| missing(kind, name, to))?;
        Ok(Difference { from, to, changes: difference(&old, &new) })
    }

    /// Locks a definition; of a workflow the highest version where none is named. One that is locked stays as it is, and who
    /// locked it first is told.
    ///
    /// # Errors
    /// `not-found`; `version-invalid` for a version of a task definition; `reason-invalid`.
    pub async fn lock_definition(
        &self,
        tenant: &TenantName,
        kind: DefinitionKind,
        name: &str,
        version: Option<i32>,
        note: LockNote,
    ) -> Result<Lock, AppError> {
        if note.reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_CHARS_MAX) {
            let message = format!("the reason is longer than {REASON_CHARS_MAX} characters");
            return Err(AppError::invalid("reason-invalid", message));
        }
        let version = self.version_to_lock(tenant, kind, name, version).await?;
        let body = serde_json::to_string(&note)
            .map_err(|source| AppError::Internal { operation: "locking", source: source.into() })?;
        let lock = Document { tenant: tenant.clone(), kind: kind.lock(), name: name.to_owned(), version, body };
        let put = self.read(move |store| {
            let Document { tenant, kind, name, version, .. } = lock.clone();
            store.put_document(lock, Putting::New)?;
            store.document(&tenant, kind, &name, Some(version))
        });
        let lock = put.await?.ok_or_else(|| AppError::not_found("lock", name))?;
        lock_of(kind, lock).map_err(AppError::from)
    }

    /// Takes the lock off a definition.
    ///
    /// # Errors
    /// `not-found` where there is none; `version-invalid`.
    pub async fn unlock_definition(
        &self,
        tenant: &TenantName,
        kind: DefinitionKind,
        name: &str,
        version: Option<i32>,
    ) -> Result<(), AppError> {
        let version = self.version_to_lock(tenant, kind, name, version).await?;
        let (owner, locked) = (tenant.clone(), name.to_owned());
        let was_there = self.read(move |store| store.delete_document(&owner, kind.lock(), &locked, Some(version))).await?;
        if was_there { Ok(()) } else { Err(AppError::not_found("lock", shown(kind, name, version))) }
    }

    /// All locks of a tenant.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn definition_locks(&self, tenant: &TenantName) -> Result<Vec<Lock>, AppError> {
        let owner = tenant.clone();
        let locks = self.read(move |store| {
            let mut locks = Vec::new();
            for kind in [DefinitionKind::Task, DefinitionKind::Workflow] {
                for document in store.documents(Some(&owner), kind.lock())? {
                    locks.push(lock_of(kind, document)?);
                }
            }
            Ok(locks)
        });
        locks.await
    }

    async fn version_to_lock(
        &self,
        tenant: &TenantName,
        kind: DefinitionKind,
        name: &str,
        version: Option<i32>,
    ) -> Result<i32, AppError> {
        let (owner, wanted) = (tenant.clone(), name.to_owned());
        let found = match (kind, version) {
            (DefinitionKind::Task, Some(_)) => {
                return Err(AppError::invalid("version-invalid", "task definitions have no versions; leave it out"));
            }
            (DefinitionKind::Task, None) => self.read(move |store| Ok(store.task_def(&owner, &wanted)?.map(|_| 1))).await?,
            (DefinitionKind::Workflow, version) => {
                let found = self.read(move |store| store.workflow_def(&owner, &wanted, version));
                found.await?.map(|definition| definition.version)
            }
        };
        let id = || version.map_or_else(|| name.to_owned(), |version| format!("{name} version {version}"));
        found.ok_or_else(|| AppError::not_found(what(kind), id()))
    }
}

/// What a locked definition is refused with.
pub(super) fn refusal(kind: DefinitionKind, lock: Document) -> AppError {
    match lock_of(kind, lock) {
        Ok(Lock { kind, name, version, note }) => {
            let reason = note.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            let (task, flag, instead) = match version {
                None => (" --task", String::new(), ""),
                Some(version) => ("", format!(" --version {version}"), ", or store it as a new version"),
            };
            let message = format!(
                "{} was locked by {}{reason}; unlock it first (`conductor definitions unlock {name}{task}{flag}`){instead}",
                shown_as(kind, &name, version),
                note.by,
            );
            AppError::conflict("definition-locked", message)
        }
        Err(error) => error.into(),
    }
}

fn lock_of(kind: DefinitionKind, document: Document) -> Result<Lock, StoreError> {
    let Document { name, version, body, .. } = document;
    let note = serde_json::from_str(&body)
        .map_err(|error| StoreError::Corrupt { what: format!("lock of {name}"), message: error.to_string() })?;
    Ok(Lock { kind, name, version: (kind == DefinitionKind::Workflow).then_some(version), note })
}

/// The revision before another one, of the same version where there is one. `all` has the newest first.
fn before(all: &[Revision], number: u32) -> Option<u32> {
    let version = all.iter().find(|revision| revision.number == number)?.version;
    let mut older = all.iter().filter(|revision| revision.number < number);
    let same = older.clone().find(|revision| revision.version == version);
    same.or_else(|| older.next()).map(|revision| revision.number)
}

/// What a definition says in a state, without who stored it and when.
fn said(
    store: &dyn Store,
    tenant: &TenantName,
    kind: DefinitionKind,
    name: &str,
    state: State,
) -> Result<Option<Value>, StoreError> {
    match (state, kind) {
        (State::Revision(number), _) => Ok(store.revision(tenant, kind, name, number)?.map(|(_, said)| said)),
        (State::Version(version), DefinitionKind::Workflow) => {
            store.workflow_def(tenant, name, Some(version))?.map(|definition| unstamped(&definition)).transpose()
        }
        (State::Version(_), DefinitionKind::Task) => Ok(None),
    }
}

fn what(kind: DefinitionKind) -> &'static str {
    match kind {
        DefinitionKind::Task => "task definition",
        DefinitionKind::Workflow => "workflow definition",
    }
}

fn shown(kind: DefinitionKind, name: &str, version: i32) -> String {
    shown_as(kind, name, (kind == DefinitionKind::Workflow).then_some(version))
}

fn shown_as(kind: DefinitionKind, name: &str, version: Option<i32>) -> String {
    let version = version.map(|version| format!(" version {version}")).unwrap_or_default();
    format!("{} {name}{version}", what(kind))
}

fn missing(kind: DefinitionKind, name: &str, state: State) -> AppError {
    match state {
        State::Revision(number) => AppError::not_found("revision", format!("{number} of {} {name}", what(kind))),
        State::Version(version) => AppError::not_found(what(kind), format!("{name} version {version}")),
    }
}
