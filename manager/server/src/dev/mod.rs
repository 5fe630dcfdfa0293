//! The development stack: a private RabbitMQ node, the manager and some agents, in the foreground and in one folder.
//!
//! The same code paths as in production, only smaller: it is what a newcomer runs, what tests and benchmarks start, and
//! what a demonstration uses. Whatever it starts it also takes down, including what operations have left running.

mod agents;
mod backoff;
mod broker_keeper;
pub mod broker_node;
mod descendants;
mod error;
mod folder;
mod leftovers;
mod options;
mod pids;
mod probe;
mod ready_file;
mod stack;

pub use error::DevError;
pub use options::DevOptions;
pub use stack::run;
