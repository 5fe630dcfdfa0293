//! The store in one SQLite file: one thread writes, a few connections read (WAL).
//!
//! One file per noun holds its SQL; [`store`] maps the trait onto them.

mod agents;
mod batch;
mod codec;
mod counters;
mod definitions;
mod documents;
mod feed;
mod flusher;
mod limited_starts;
mod logs;
mod migrate;
mod node_instances;
mod open;
mod outbox;
mod payload;
mod plugins;
mod readers;
mod revisions;
mod rows;
mod schedules;
mod search;
mod snapshots;
mod store;
mod tasks;
mod tokens;
mod workflows;
mod writer;

pub use open::OpenError;
pub use store::SqliteStore;
