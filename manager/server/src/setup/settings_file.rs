//! `manager.conf.d/10-setup.toml`: what setup found out or made up.

use std::collections::HashSet;
use std::net::Ipv6Addr;
use std::path::Path;

use rand::RngCore;
use reqwest::Url;
use toml::{Table, Value};

use super::file::{FileError, Owner, put};
use super::{BROKER_PORT, BrokerAccount, MANAGEMENT_URL, Options};
use crate::config::hostname;

const USER: &str = "conductor";
const VHOST: &str = "conductor";

/// Writes the file and gives the manager's account at the broker: the one that the file names already, else a new one.
pub(super) fn write(
    path: &Path,
    options: &Options,
    owner: Owner,
    changes: &mut Vec<String>,
) -> Result<BrokerAccount, FileError> {
    let known = Known::read(path).unwrap_or_default();
    let password = known.password.unwrap_or_else(new_password);
    let account = BrokerAccount { user: USER.to_owned(), password, vhost: VHOST.to_owned() };
    let name = options.name.clone().or(known.name).unwrap_or_else(hostname);
    put(path, &text(options, &name, &account), 0o640, owner.roots(), changes)?;
    Ok(account)
}

fn text(options: &Options, name: &str, account: &BrokerAccount) -> String {
    let port = options.port;
    let mut names = vec![name.to_owned(), hostname(), "localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let mut seen = HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    let tls = Table::from_iter([
        ("names".to_owned(), Value::from(names)),
        ("address".to_owned(), format!("https://{}:{port}", as_host(name)).into()),
    ]);
    let mut settings = Table::new();
    settings.insert("listen".to_owned(), format!("0.0.0.0:{port}").into());
    settings.insert("tls".to_owned(), tls.into());
    if options.local_broker {
        let broker = Table::from_iter([
            ("url".to_owned(), Value::from(account.url().expose())),
            ("agent_url".to_owned(), format!("amqps://{}:{BROKER_PORT}/{VHOST}", as_host(name)).into()),
            ("management_url".to_owned(), MANAGEMENT_URL.into()),
            ("agent_accounts".to_owned(), "certificate".into()),
        ]);
        settings.insert("broker".to_owned(), broker.into());
    }
    format!(
        "# Written by `conductor-manager setup`, which writes it again when it is called again.\n\
         # Settings of your own belong into another file of this folder with a later name, as in 50-own.toml.\n\n{settings}"
    )
}

/// What the file says that an earlier setup wrote.
#[derive(Debug, Default, PartialEq, Eq)]
struct Known {
    password: Option<String>,
    name: Option<String>,
}

impl Known {
    fn read(path: &Path) -> Option<Self> {
        let settings: Table = std::fs::read_to_string(path).ok()?.parse().ok()?;
        let word = |table: &str, key: &str| settings.get(table)?.get(key)?.as_str();
        let url = word("broker", "url").and_then(|url| Url::parse(url).ok()).filter(|url| url.username() == USER);
        let address = word("tls", "address").and_then(|address| Url::parse(address).ok());
        Some(Self {
            password: url.and_then(|url| url.password().map(str::to_owned)),
            name: address.and_then(|url| url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned())),
        })
    }
}

/// A name or address as it stands in a URL.
fn as_host(name: &str) -> String {
    if name.parse::<Ipv6Addr>().is_ok() { format!("[{name}]") } else { name.to_owned() }
}

fn new_password() -> String {
    let mut secret = [0_u8; 24];
    rand::rng().fill_bytes(&mut secret);
    hex::encode(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(name: Option<&str>) -> Options {
        Options { port: 53333, name: name.map(str::to_owned), local_broker: true, start: false }
    }

    #[test]
    fn what_setup_was_told_once_stays_when_it_is_called_again() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("10-setup.toml");
        std::fs::write(&path, "broken = ").unwrap();
        assert_eq!(Known::read(&path), None);
        let made = BrokerAccount { user: USER.to_owned(), password: new_password(), vhost: VHOST.to_owned() };
        for name in ["conductor.example", "10.1.2.3", "2001:db8::1"] {
            std::fs::write(&path, text(&options(None), name, &made)).unwrap();
            let known = Known { password: Some(made.password.clone()), name: Some(name.to_owned()) };
            assert_eq!(Known::read(&path), Some(known));
        }
    }

    #[test]
    fn nothing_of_it_is_plain_text() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("10-setup.toml");
        let made = BrokerAccount { user: USER.to_owned(), password: new_password(), vhost: VHOST.to_owned() };
        std::fs::write(&path, text(&options(None), "conductor.example", &made)).unwrap();
        let flags = crate::config::Flags { config: Some(path), ..crate::config::Flags::default() };
        let settings = crate::config::load_without_default_file(&flags).unwrap().settings;
        assert!(settings.tls.enabled && settings.broker.url.expose().starts_with("amqps://"), "{settings:?}");
        assert_eq!(settings.public_address(), "https://conductor.example:53333");
        assert_eq!(settings.agent_broker_url().expose(), "amqps://conductor.example:5671/conductor");
        assert_eq!(settings.broker.agent_accounts, crate::config::AgentAccounts::Certificate);
        assert!(settings.server_names().contains(&"localhost".to_owned()), "the manager reaches RabbitMQ by that name");
    }
}
