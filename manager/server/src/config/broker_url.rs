//! The broker's address, which carries a password.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An AMQP URI. It is shown without its password everywhere; [`BrokerUrl::expose`] gives the whole.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BrokerUrl(String);

impl BrokerUrl {
    /// RabbitMQ's own default: a fresh broker on this host.
    #[must_use]
    pub fn local_default() -> Self {
        Self("amqp://guest:guest@127.0.0.1:5672/%2f".to_owned())
    }

    /// The URI of a broker on this host. `vhost` is written as in a URI, `/` as `%2f`.
    #[must_use]
    pub fn loopback(user: &str, password: &str, port: u16, vhost: &str) -> Self {
        Self(format!("amqp://{user}:{password}@127.0.0.1:{port}/{vhost}"))
    }

    /// The URI of a broker that is reached over TLS. `vhost` is written as in a URI.
    #[must_use]
    pub fn encrypted(user: &str, password: &str, host: &str, port: u16, vhost: &str) -> Self {
        Self(format!("amqps://{user}:{password}@{host}:{port}/{vhost}"))
    }

    /// Where it leads: a name or address, and a port, the protocol's own where none is given. `None` when no host is named.
    #[must_use]
    pub fn host_and_port(&self) -> Option<(String, u16)> {
        let url = reqwest::Url::parse(&self.0).ok()?;
        let usual = if url.scheme() == "amqps" { 5671 } else { 5672 };
        let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']');
        Some((host.to_owned(), url.port().unwrap_or(usual)))
    }

    /// The whole URI, for connecting.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BrokerUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with("amqp://") || text.starts_with("amqps://") {
            Ok(Self(text))
        } else {
            Err("expected an AMQP URI, as in amqp://user:password@host:5672/%2f".to_owned())
        }
    }
}

impl From<BrokerUrl> for String {
    fn from(url: BrokerUrl) -> Self {
        url.0
    }
}

impl fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((scheme, rest)) = self.0.split_once("://") else { return f.write_str("***") };
        match rest.rsplit_once('@') {
            Some((login, host)) => {
                let user = login.split(':').next().unwrap_or_default();
                write!(f, "{scheme}://{user}:***@{host}")
            }
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for BrokerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_not_shown() {
        let url = BrokerUrl::try_from("amqp://conductor:s3cret@host:5672/%2f".to_owned()).unwrap();
        assert_eq!(url.to_string(), "amqp://conductor:***@host:5672/%2f");
        assert!(!format!("{url:?}").contains("s3cret"));
        assert_eq!(url.expose(), "amqp://conductor:s3cret@host:5672/%2f");
    }

    #[test]
    fn host_and_port_are_told() {
        let leads = |text: &str| BrokerUrl::try_from(text.to_owned()).unwrap().host_and_port();
        assert_eq!(leads("amqp://u:p@[::1]:1234/v"), Some(("::1".to_owned(), 1234)));
        assert_eq!(leads("amqps://host/v"), Some(("host".to_owned(), 5671)));
        assert_eq!(leads("amqp://host"), Some(("host".to_owned(), 5672)));
    }

    #[test]
    fn another_scheme_is_refused() {
        assert!(BrokerUrl::try_from("http://host".to_owned()).is_err());
    }
}
