//! Free ports on loopback.

use std::net::{Ipv4Addr, TcpListener};

/// A port that was free a moment ago. The system gives each one out only once in a long while.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
    listener.local_addr().expect("a bound listener has an address").port()
}
