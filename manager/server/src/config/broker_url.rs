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
    fn another_scheme_is_refused() {
        assert!(BrokerUrl::try_from("http://host".to_owned()).is_err());
    }
}
