//! Names that were checked when they came in, so that nobody has to check them again.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;

use crate::limits;

/// Why a text is not a name of its kind.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("{kind} must not be empty")]
    Empty {
        /// What the name is for.
        kind: &'static str,
    },
    /// More than the kind's limit.
    #[error("{kind} is {length} bytes long; at most {max} are allowed")]
    TooLong {
        /// What the name is for.
        kind: &'static str,
        /// Bytes given.
        length: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A character outside the kind's set.
    #[error("{kind} {text:?} has the character {found:?}; allowed are {allowed}")]
    Character {
        /// What the name is for.
        kind: &'static str,
        /// The text as given.
        text: String,
        /// The first character that is not allowed.
        found: char,
        /// The set, in words.
        allowed: &'static str,
    },
}

const ALLOWED: &str = "letters, digits, '.', '_' and '-', with a letter or digit first";

fn check(kind: &'static str, text: &str, max: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { kind });
    }
    if text.len() > max {
        return Err(NameError::TooLong { kind, length: text.len(), max });
    }
    let bad = text.char_indices().find(|&(at, c)| !(c.is_ascii_alphanumeric() || (at > 0 && matches!(c, '.' | '_' | '-'))));
    match bad {
        Some((_, found)) => Err(NameError::Character { kind, text: text.to_owned(), found, allowed: ALLOWED }),
        None => Ok(()),
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $kind:literal, $max:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                check($kind, text, $max)?;
                Ok(Self(Arc::from(text)))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    )+};
}

names! {
    /// The name of an agent, unique in the installation. It is also the id of its host's node instance.
    AgentId, "agent id", limits::NAME_BYTES_MAX;
    /// The name of a plugin, without its version.
    PluginName, "plugin name", limits::NAME_BYTES_MAX;
    /// The name of a tenant. Every stored row bears one.
    TenantName, "tenant name", limits::NAME_BYTES_MAX;
}

impl TenantName {
    /// The tenant that every installation begins with.
    #[must_use]
    pub fn default_tenant() -> Self {
        Self(Arc::from("default_tenant"))
    }
}

/// The SHA-256 of a plugin's archive, as 64 lower-case hexadecimal digits: what agents fetch and cache plugins by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PluginDigest(Arc<str>);

impl PluginDigest {
    /// The digest as 64 hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PluginDigest {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const KIND: &str = "plugin digest";
        if text.is_empty() {
            return Err(NameError::Empty { kind: KIND });
        }
        if text.len() != 64 {
            return Err(NameError::TooLong { kind: KIND, length: text.len(), max: 64 });
        }
        match text.chars().find(|c| !matches!(c, '0'..='9' | 'a'..='f')) {
            Some(found) => Err(NameError::Character {
                kind: KIND,
                text: text.to_owned(),
                found,
                allowed: "64 digits of lower-case hexadecimal",
            }),
            None => Ok(Self(Arc::from(text))),
        }
    }
}

impl TryFrom<String> for PluginDigest {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<PluginDigest> for String {
    fn from(digest: PluginDigest) -> Self {
        digest.0.as_ref().to_owned()
    }
}

impl fmt::Display for PluginDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PluginDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PluginDigest({})", self.0)
    }
}
