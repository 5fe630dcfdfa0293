//! The store in memory: for tests and simulations. It keeps the same promises as the others, save surviving the process.

mod batch;
mod definitions;
mod documents;
mod filter;
mod search;
mod state;
mod store;

pub use store::MemoryStore;
