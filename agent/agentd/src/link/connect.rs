//! A connection to RabbitMQ: in whose name, whom it believes, and its parameters.

use std::io;

use conductor_wire::agent_api::AgentWelcome;
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::{Connection, ConnectionProperties};

use crate::identity::Identity;

/// Parameters that every connection has. lapin keeps two rings of 32 frames each, which a busy agent touches whole: with frames of
/// 16 KiB that is 1 MB, with the 128 KiB that most clients ask for 8 MB. Larger messages travel as several frames.
const PARAMETERS: [(&str, &str); 3] = [("frame_max", "16384"), ("heartbeat", "30"), ("connection_timeout", "10000")];

/// Connects to where the manager says, as this agent.
///
/// # Errors
/// When nobody is there, or does not let it in.
pub(super) async fn connect(welcome: &AgentWelcome, identity: Option<&Identity>) -> Result<Connection, lapin::Error> {
    let name = format!("conductor-agent {}", welcome.id);
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let runtime = lapin::runtime::default_runtime().map_err(io::Error::other)?;
    Connection::connect_with_config(&with_parameters(&welcome.amqp_url), properties, tls(identity), runtime).await
}

/// The same identity as over REST.
pub(super) fn tls(identity: Option<&Identity>) -> OwnedTLSConfig {
    identity.map_or_else(OwnedTLSConfig::default, |identity| OwnedTLSConfig {
        identity: Some(OwnedIdentity::PKCS8 {
            pem: identity.certificate.clone().into_bytes(),
            key: identity.key.clone().into_bytes(),
        }),
        cert_chain: Some(identity.authority.clone()),
    })
}

/// The URI with our parameters, those that it has itself left alone.
fn with_parameters(uri: &str) -> String {
    let mut out = uri.to_owned();
    let query = uri.split_once('?').map_or("", |(_, query)| query).to_owned();
    for (name, value) in PARAMETERS {
        if !query.split('&').any(|pair| pair.split('=').next() == Some(name)) {
            out.push(if out.contains('?') { '&' } else { '?' });
            out.push_str(&format!("{name}={value}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::with_parameters;

    #[test]
    fn parameters_are_added_and_given_ones_stay() {
        assert_eq!(
            with_parameters("amqp://u:p@h:1/%2f"),
            "amqp://u:p@h:1/%2f?frame_max=16384&heartbeat=30&connection_timeout=10000"
        );
        assert_eq!(with_parameters("amqp://h?heartbeat=5"), "amqp://h?heartbeat=5&frame_max=16384&connection_timeout=10000");
    }
}
