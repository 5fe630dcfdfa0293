//! The way to the manager over RabbitMQ.
//!
//! [`outbox`] holds what is to be said, [`session`] says it over what `connect` makes; the last two and [`probe`] know lapin. What
//! is not confirmed when a connection breaks is said again on the next one: results from the ledger, log lines from the outbox.

mod connect;
pub mod message;
pub mod note;
pub mod outbox;
pub mod probe;
pub mod session;
