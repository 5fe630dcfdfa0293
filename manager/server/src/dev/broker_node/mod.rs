//! A private RabbitMQ node: the distribution's `rabbitmq-server` on free loopback ports, with everything it writes in one
//! folder. Tests and benchmarks start one and share it, each in a virtual host of its own.
//!
//! Each node has its own epmd, so that nodes know nothing of each other and nothing is left behind when one stops.
//! Started as root, the node runs as the distribution's user `rabbitmq`, who then owns the folder.

mod account;
mod error;
mod files;
mod handshake;
mod node;
mod ports;
#[cfg(test)]
mod tests;

pub use error::BrokerNodeError;
pub use node::{BrokerNode, BrokerNodeOptions};
