//! Where requests come in: over TLS, or in plain text on loopback. Either way it is known who is at the other end.

mod plain;
mod renewal;
mod tls;

pub use plain::PlainListener;
pub use renewal::Renewal;
pub use tls::TlsListener;

use std::net::SocketAddr;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use conductor_model::AgentId;

/// Who is at the other end of a connection.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The certificate that it showed, which the authority signed.
    pub certificate: Option<PeerCertificate>,
}

/// A certificate that was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Whose it is.
    pub agent: AgentId,
    /// Its serial number, in hexadecimal.
    pub serial: String,
}

impl Connected<IncomingStream<'_, PlainListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, PlainListener>) -> Self {
        stream.remote_addr().clone()
    }
}

impl Connected<IncomingStream<'_, TlsListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsListener>) -> Self {
        stream.remote_addr().clone()
    }
}
