//! TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Peer, PeerCertificate};
use crate::pki::{agent_of_certificate, serial_of};

/// Longest time that a client may take to agree on keys.
const HANDSHAKE_WAIT_MAX: Duration = Duration::from_secs(10);
/// Clients that may be at it at once; more wait in the kernel's queue.
const HANDSHAKES_MAX: usize = 256;

/// Takes connections over TLS. Keys are agreed on beside the others, so that a slow client holds up nobody.
#[derive(Debug)]
pub struct TlsListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, Peer)>,
    accepting: AbortHandle,
}

impl TlsListener {
    /// Begins to take connections; each is answered with what is shown at that moment.
    ///
    /// # Errors
    /// When the listener has no address.
    pub fn new(listener: TcpListener, shown: watch::Receiver<Arc<ServerConfig>>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(1);
        let accepting = tokio::spawn(accept(listener, shown, sender)).abort_handle();
        Ok(Self { address, ready, accepting })
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    mut listener: TcpListener,
    shown: watch::Receiver<Arc<ServerConfig>>,
    ready: mpsc::Sender<(TlsStream<TcpStream>, Peer)>,
) {
    let places = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        // Axum's own accept waits a little when there are no more file handles.
        let (stream, address) = Listener::accept(&mut listener).await;
        let _ = stream.set_nodelay(true);
        let (acceptor, ready) = (TlsAcceptor::from(Arc::clone(&shown.borrow())), ready.clone());
        tokio::spawn(async move {
            let _place = place;
            match tokio::time::timeout(HANDSHAKE_WAIT_MAX, acceptor.accept(stream)).await {
                Ok(Ok(stream)) => {
                    let certificate = certificate_of(&stream);
                    let _ = ready.send((stream, Peer { address, certificate })).await;
                }
                Ok(Err(error)) => tracing::debug!(%address, %error, "a client did not agree on keys"),
                Err(_) => tracing::debug!(%address, "a client was too slow to agree on keys"),
            }
        });
    }
}

fn certificate_of(stream: &TlsStream<TcpStream>) -> Option<PeerCertificate> {
    let der = stream.get_ref().1.peer_certificates()?.first()?;
    Some(PeerCertificate { agent: agent_of_certificate(der)?, serial: serial_of(der)? })
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = Peer;

    async fn accept(&mut self) -> (TlsStream<TcpStream>, Peer) {
        match self.ready.recv().await {
            Some(connection) => connection,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer { address: self.address, certificate: None })
    }
}

#[cfg(test)]
mod tests {
    use conductor_store::MemoryStore;
    use rustls::pki_types::ServerName;
    use rustls::{ClientConfig, RootCertStore};
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::app::trust::Trust;
    use crate::listen::Renewal;
    use crate::pki::{Authority, TaskSigner};

    const DAY_MS: i64 = 24 * 60 * 60 * 1000;

    #[tokio::test]
    async fn a_certificate_is_renewed_under_those_who_connect() {
        let dir = tempfile::tempdir().unwrap();
        let now = crate::clock::now();
        let before = |days: i64| now.plus_ms(-days * DAY_MS);
        let authority = Authority::open_or_create(dir.path(), before(600)).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate_der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let connector = TlsConnector::from(Arc::new(client.with_root_certificates(roots).with_no_client_auth()));

        let signer = TaskSigner::open_or_create(dir.path()).unwrap();
        let trust = Arc::new(Trust::open(authority, signer, &MemoryStore::new()).unwrap());
        let renewal = Renewal::new(Arc::clone(&trust), vec!["localhost".to_owned()], before(600)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut listener = TlsListener::new(listener, renewal.shown()).unwrap();
        let address = listener.address;
        tokio::spawn(async move {
            // Whoever is connected stays so until it goes.
            let mut there = Vec::new();
            loop {
                there.push(listener.accept().await);
            }
        });
        let shown = async || {
            let stream = TcpStream::connect(address).await.unwrap();
            let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap();
            let serial = serial_of(&stream.get_ref().1.peer_certificates().unwrap()[0]).unwrap();
            (serial, trust.authority().server_pin().unwrap())
        };
        let first = shown().await;
        renewal.look(before(300)).unwrap();
        assert_eq!(shown().await, first, "more than a third of its life is left");
        renewal.look(now).unwrap();
        let (serial, pin) = shown().await;
        assert_ne!(serial, first.0);
        assert_ne!(pin, first.1, "hosts that join later are told of the key that is shown then");
    }
}
