//! Whether the broker lets this agent in.

use std::time::Duration;

use lapin::{Connection, ConnectionProperties};
use thiserror::Error;
use tokio::time::timeout;

use super::session::tls;
use crate::identity::Identity;

/// Longest wait for the broker.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Why it does not.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// Nobody answers.
    #[error("no answer within {} s", ANSWER_MAX.as_secs())]
    Silent,
    /// It refuses, or is another.
    #[error("it does not let this agent in")]
    Refused(#[source] lapin::Error),
}

/// Logs in and out again.
///
/// # Errors
/// When that does not work.
pub async fn log_in(url: &str, identity: &Identity) -> Result<(), ProbeError> {
    let runtime =
        lapin::runtime::default_runtime().map_err(|error| ProbeError::Refused(std::io::Error::other(error).into()))?;
    let properties = ConnectionProperties::default().with_connection_name("doctor".into());
    let connecting = Connection::connect_with_config(url, properties, tls(Some(identity)), runtime);
    let connection = timeout(ANSWER_MAX, connecting).await.map_err(|_| ProbeError::Silent)?.map_err(ProbeError::Refused)?;
    // It was let in; how it leaves matters to nobody.
    drop(timeout(ANSWER_MAX, connection.close(200, "bye".into())).await);
    Ok(())
}
