//! Whether the broker lets this agent in.

use std::io;
use std::time::Duration;

use conductor_boot::Broken;
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
    let broken = match error.kind() {
        ErrorKind::ProtocolError(_) => return ProbeError::Refused(error),
        ErrorKind::IOError(io) => Broken::of(io),
        _ => Broken::Foreign,
    };
    match broken {
        Broken::Away => ProbeError::Away(error),
        Broken::Untrusted => ProbeError::Untrusted(error),
        Broken::Foreign => ProbeError::Foreign(error),
    }
}
