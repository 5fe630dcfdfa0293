//! Plain text.

use std::io;

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};

use super::Peer;

/// Takes connections in plain text.
#[derive(Debug)]
pub struct PlainListener(pub TcpListener);

impl Listener for PlainListener {
    type Io = TcpStream;
    type Addr = Peer;

    async fn accept(&mut self) -> (TcpStream, Peer) {
        let (stream, address) = Listener::accept(&mut self.0).await;
        // Small answers must not wait for more to come.
        let _ = stream.set_nodelay(true);
        (stream, Peer { address, certificate: None })
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer { address: self.0.local_addr()?, certificate: None })
    }
}
