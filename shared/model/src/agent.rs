//! Agents as the manager knows them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::names::{AgentId, TenantName};
use crate::time::Timestamp;

/// Where an agent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentState {
    /// Renews its lease and takes work.
    Active,
    /// Finishes what it has and takes nothing new.
    Draining,
    /// Its lease ran out.
    Offline,
    /// Speaks a protocol outside the manager's window.
    Unsupported,
    /// Two hosts speak in its name; neither gets work.
    Quarantined,
}

/// One agent. `labels` are what operators say of it, `facts` what it found out itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentRecord {
    /// Unique name; also the id of its host's node instance.
    pub id: AgentId,
    /// Owner.
    pub tenant: TenantName,
    /// For people; the host's name unless configured.
    pub name: String,
    /// Where it stands.
    pub state: AgentState,
    /// Why it takes nothing new, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_reason: Option<String>,
    /// What operators say of it.
    pub labels: BTreeMap<String, String>,
    /// What it found out: a tree, addressed as `memory.total`.
    pub facts: Map<String, Value>,
    /// How many tasks it runs at once.
    pub slots: u32,
    /// Its software version.
    pub version: String,
    /// The newest protocol that it speaks.
    pub protocol: u16,
    /// Changes whenever its journal begins anew: tasks given to an earlier incarnation are lost.
    pub incarnation: String,
    /// When it was first seen.
    pub registered_at: Timestamp,
    /// When it last renewed its lease.
    pub last_seen_at: Timestamp,
    /// Set while an operator wants it to be given nothing new; what it has goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cordon: Option<Cordon>,
}

/// An operator's word that an agent is to be given nothing new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cordon {
    /// Why, for people; at most [`CORDON_REASON_CHARS_MAX`](crate::limits::CORDON_REASON_CHARS_MAX) characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

impl AgentState {
    /// The state as the API writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Offline => "offline",
            Self::Unsupported => "unsupported",
            Self::Quarantined => "quarantined",
        }
    }
}

impl fmt::Display for AgentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
