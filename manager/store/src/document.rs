//! Documents: what is registered beside definitions, kept as text under a name.

use conductor_model::TenantName;

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DocumentKind {
    /// An event handler (JSON).
    EventHandler,
    /// A JSON Schema (JSON).
    Schema,
    /// A secret, sealed by its owner: the store never sees its value.
    Secret,
    /// A value of the environment.
    Environment,
    /// A token that lets hosts in as agents (JSON); its secret is not in it.
    EnrolmentToken,
    /// Which certificates of an agent are good (JSON).
    AgentIdentity,
    /// That all schedules of a tenant rest. There is one, without a text, while they do.
    SchedulerRest,
    /// An agent whose user on the broker is to be removed.
    AccountToRemove,
    /// That a task definition is neither overwritten nor removed, by whom and why (JSON).
    TaskLock,
    /// The same of a version of a workflow definition.
    WorkflowLock,
}

impl DocumentKind {
    /// As it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EventHandler => "event-handler",
            Self::Schema => "schema",
            Self::Secret => "secret",
            Self::Environment => "environment",
            Self::EnrolmentToken => "enrolment-token",
            Self::AgentIdentity => "agent-identity",
            Self::SchedulerRest => "scheduler-rest",
            Self::AccountToRemove => "account-to-remove",
            Self::TaskLock => "task-lock",
            Self::WorkflowLock => "workflow-lock",
        }
    }
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Owner.
    pub tenant: TenantName,
    /// What it is.
    pub kind: DocumentKind,
    /// Its name, unique in its kind and tenant with its version.
    pub name: String,
    /// Its version; 1 for kinds without.
    pub version: i32,
    /// The text.
    pub body: String,
}

/// What storing a document may replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Putting {
    /// Nothing: it must not be there.
    New,
    /// The one that is there; it must be.
    Again,
    /// Whatever is there.
    Either,
}
