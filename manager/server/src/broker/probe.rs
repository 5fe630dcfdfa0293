//! Whether RabbitMQ lets the manager in, for `doctor`: the same way as a session's, and nothing beyond.

use std::io;

use conductor_boot::Broken;
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
