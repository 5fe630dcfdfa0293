//! The installation's own certificate authority, and the key that tasks are signed with.
//!
//! All of it lies in one folder: `ca.crt` and `ca.key` are made at the first start and never again, `task.key` likewise;
//! `server.*` and `broker.*` are made again when their names change or a third of their life is left. Keys are readable by
//! their owner alone.

mod agent_name;
mod authority;
mod error;
mod files;
mod tasks;
mod tls;

pub use agent_name::{agent_of_certificate, good_until, pin_of, serial_of};
pub use authority::{Authority, Issued, ServerFiles};
pub use error::PkiError;
pub use tasks::TaskSigner;
pub use tls::server_config;
