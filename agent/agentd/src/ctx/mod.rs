//! `ctx`: how a running plugin speaks to its agent.
//!
//! The agent listens on a socket in its data folder; a process shows the token from its environment and thereby speaks for
//! one task. [`protocol`] is what both sides say, [`server`] the agent's side, [`client`] that of `ctx`, [`manager`] what
//! lies behind the agent, [`keys`] how properties are named.

pub mod client;
pub mod keys;
mod manager;
pub mod protocol;
pub mod server;

pub use manager::Manager;
