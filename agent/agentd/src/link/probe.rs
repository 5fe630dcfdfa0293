//! Whether the broker lets this agent in.

use std::io;
use std::time::Duration;

use lapin::{Connection, ConnectionProperties, ErrorKind};
use thiserror::Error;
use tokio::time::timeout;

use super::connect::tls;
use crate::identity::Identity;

/// Longest wait for the broker.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Why it does not.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// Nobody answers.
    #[error("no answer within {} s", ANSWER_MAX.as_secs())]
    Silent,
    /// Nobody is there.
    #[error("it cannot be reached")]
    Away(#[source] lapin::Error),
    /// It shows a certificate of somebody else's.
    #[error("its certificate is not of the authority that this host joined under")]
    Untrusted(#[source] lapin::Error),
    /// It speaks no TLS, or is no RabbitMQ.
    #[error("what answers there does not speak as its address says")]
    Foreign(#[source] lapin::Error),
    /// It does not know this agent, or not any more.
    #[error("it does not let this agent in")]
    Refused(#[source] lapin::Error),
}

/// Logs in and out again.
///
/// # Errors
/// When that does not work.
pub async fn log_in(url: &str, identity: &Identity) -> Result<(), ProbeError> {
    let runtime = lapin::runtime::default_runtime().map_err(|error| ProbeError::Away(io::Error::other(error).into()))?;
    let properties = ConnectionProperties::default().with_connection_name("doctor".into());
    let connecting = Connection::connect_with_config(url, properties, tls(Some(identity)), runtime);
    let connection = timeout(ANSWER_MAX, connecting).await.map_err(|_| ProbeError::Silent)?.map_err(why)?;
    // It was let in; how it leaves matters to nobody.
    drop(timeout(ANSWER_MAX, connection.close(200, "bye".into())).await);
    Ok(())
}

fn why(error: lapin::Error) -> ProbeError {
    let io = match error.kind() {
        ErrorKind::ProtocolError(_) => return ProbeError::Refused(error),
        ErrorKind::IOError(io) => io,
        _ => return ProbeError::Foreign(error),
    };
    match io.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::InvalidCertificate(_)) => return ProbeError::Untrusted(error),
        Some(_) => return ProbeError::Foreign(error),
        None => {}
    }
    match io.kind() {
        // What an end that waits for TLS makes of plain text, and one that waits for plain text of TLS.
        io::ErrorKind::InvalidData
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => ProbeError::Foreign(error),
        _ => ProbeError::Away(error),
    }
}
