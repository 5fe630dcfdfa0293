//! Typed ids, so that a task's id cannot be passed where a workflow's is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Where new ids come from. The engine never draws one itself: tests and simulations pass a seeded source.
pub trait IdSource {
    /// The next id. Version 7 in production, so that rows land next to their neighbours in time.
    fn next_id(&mut self) -> Uuid;
}

macro_rules! id_kinds {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Draws a new id from `source`.
            pub fn generate(source: &mut dyn IdSource) -> Self {
                Self(source.next_id())
            }

            /// The 16 bytes of the id, as stored.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id from its 16 stored bytes; `None` when there are not 16.
            #[must_use]
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                Uuid::from_slice(bytes).ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )+};
}

id_kinds! {
    /// One attempt at one step of a workflow. A retry is a new task.
    TaskId,
    /// One run of a workflow definition.
    WorkflowId,
}
