//! Whether RabbitMQ lets the manager in, for `doctor`: the same way as a session's, and nothing beyond.

use std::io;

use lapin::ErrorKind;
use thiserror::Error;

use super::session::connect;
use crate::accounts::broker_authority;
use crate::config::BrokerSettings;

/// Why it does not.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// The authority that is to be believed cannot be read.
    #[error("broker.ca_file cannot be read")]
    Authority(#[source] io::Error),
    /// Nobody answers.
    #[error("it cannot be reached")]
    Away(#[source] lapin::Error),
    /// It shows a certificate of somebody else's.
    #[error("its certificate is not believed")]
    Untrusted(#[source] lapin::Error),
    /// It answers in another way than the address says: with TLS or without, or it is no RabbitMQ.
    #[error("what answers there does not speak as broker.url says")]
    Foreign(#[source] lapin::Error),
    /// The account or the virtual host of the address is not for the manager.
    #[error("it does not let the manager in")]
    Refused(#[source] lapin::Error),
}

/// Logs in and out again. `own_authority` is believed where the settings name no other.
///
/// # Errors
/// Why that does not work.
pub async fn log_in(settings: &BrokerSettings, own_authority: &str) -> Result<(), ProbeError> {
    let authority = broker_authority(settings.ca_file.as_deref(), own_authority).map_err(ProbeError::Authority)?;
    let connection = connect(settings.url.expose(), "manager: doctor", &authority).await.map_err(why)?;
    // It was let in; how it leaves matters to nobody.
    drop(connection.close(200, "bye".into()).await);
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
