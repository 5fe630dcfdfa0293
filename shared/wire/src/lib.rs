//! Versioned messages between manager, agent and plugin.
//!
//! Receivers ignore fields that they do not know; fields are added with a default and never change their meaning. Every
//! message on the broker bears the protocol number that it was written in.

pub mod agent_api;
pub mod amqp;
pub mod identity;
pub mod plugin_io;
pub mod problem;

/// The protocol that this build writes.
///
/// 1: the first. 2: messages to agents are signed.
pub const PROTOCOL: u16 = 2;
/// The oldest protocol that this build still reads and, for an old agent, writes.
pub const PROTOCOL_OLDEST: u16 = 1;
