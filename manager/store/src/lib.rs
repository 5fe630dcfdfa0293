//! Storage at the level of decisions: memory (tests, simulation) and SQLite, held to one conformance suite.
//!
//! Everything that is decided in one step is stored in one transaction ([`Store::submit`]); many steps share one commit
//! (group commit). SQL lives in this crate alone. Calls block; async callers use a blocking pool.
//!
//! **Invariant:** every query is by tenant, save those that rebuild the manager's memory at start.

mod api;
mod batch;
mod document;
mod memory;
mod revision;
pub mod search;
mod sqlite;

pub use api::*;
pub use batch::*;
pub use document::{Document, DocumentKind, Putting};
pub use memory::MemoryStore;
pub use revision::{DefinitionKind, REVISIONS_KEPT, Revision, unstamped};
pub use sqlite::{OpenError, SqliteStore};
