//! Ports of the node.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;

use rand::Rng;

use super::BrokerNodeError;

/// Below the range that the kernel takes for outgoing connections, so that a node that is started again finds its port
/// still free.
const RANGE: Range<u16> = 20_000..32_000;
/// Ports tried before giving up.
const TRIES: usize = 1000;

/// The ports of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) amqp: u16,
    pub(super) distribution: u16,
    pub(super) epmd: u16,
    pub(super) management: u16,
}

impl Ports {
    /// Ports that are free now.
    pub(super) fn free() -> Result<Self, BrokerNodeError> {
        let mut random = rand::rng();
        // Held until all are found, so that they differ.
        let mut held = Vec::new();
        for _ in 0..TRIES {
            let port = random.random_range(RANGE);
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                held.push((port, listener));
            }
            if let [(amqp, _), (distribution, _), (epmd, _), (management, _)] = held.as_slice() {
                return Ok(Self { amqp: *amqp, distribution: *distribution, epmd: *epmd, management: *management });
            }
        }
        Err(BrokerNodeError::NoPort)
    }
}
