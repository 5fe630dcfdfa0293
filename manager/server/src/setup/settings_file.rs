//! `manager.conf.d/10-setup.toml`: what setup found out or made up.

use std::path::Path;

use rand::RngCore;
use toml::Table;

use super::file::{FileError, Owner, put};
use super::{BrokerAccount, Options};

const USER: &str = "conductor";
const VHOST: &str = "conductor";

/// Writes the file and gives the manager's account at the broker: the one that the file names already, else a new one.
pub(super) fn write(
    path: &Path,
    options: &Options,
    owner: Owner,
    changes: &mut Vec<String>,
) -> Result<BrokerAccount, FileError> {
    let account = known_password(path).unwrap_or_else(new_password);
    let account = BrokerAccount { user: USER.to_owned(), password: account, vhost: VHOST.to_owned() };
    put(path, &text(options, &account), 0o640, owner.roots(), changes)?;
    Ok(account)
}

fn text(options: &Options, account: &BrokerAccount) -> String {
    let mut settings = Table::new();
    // Open to the network only where somebody says so: what is sent here is not encrypted.
    settings.insert("listen".to_owned(), format!("127.0.0.1:{}", options.port).into());
    settings.insert("tls".to_owned(), Table::from_iter([("enabled".to_owned(), false.into())]).into());
    if options.local_broker {
        let mut broker = Table::new();
        broker.insert("url".to_owned(), account.url().expose().into());
        settings.insert("broker".to_owned(), broker.into());
    }
    format!(
        "# Written by `conductor-manager setup`, which writes it again when it is called again.\n\
         # Settings of your own belong into another file of this folder with a later name, as in 50-own.toml.\n\n{settings}"
    )
}

/// The password in the file that an earlier setup wrote.
fn known_password(path: &Path) -> Option<String> {
    let settings: Table = std::fs::read_to_string(path).ok()?.parse().ok()?;
    let url = settings.get("broker")?.get("url")?.as_str()?;
    let (account, _) = url.strip_prefix("amqp://")?.split_once('@')?;
    account.strip_prefix(USER)?.strip_prefix(':').map(str::to_owned)
}

fn new_password() -> String {
    let mut secret = [0_u8; 24];
    rand::rng().fill_bytes(&mut secret);
    hex::encode(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_stays_when_setup_is_called_again() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("10-setup.toml");
        let me = Owner { uid: nix::unistd::geteuid(), gid: nix::unistd::getegid() };
        let options = Options { port: 53333, local_broker: true, start: false };
        std::fs::write(&path, "broken = ").unwrap();
        let owner = Owner { uid: me.uid, gid: me.gid };
        let made = BrokerAccount { user: USER.to_owned(), password: new_password(), vhost: VHOST.to_owned() };
        put(&path, &text(&options, &made), 0o640, owner, &mut Vec::new()).unwrap();
        assert_eq!(known_password(&path).as_deref(), Some(made.password.as_str()));
        let flags = crate::config::Flags { config: Some(path), ..crate::config::Flags::default() };
        let loaded = crate::config::load_without_default_file(&flags).unwrap();
        assert_eq!(loaded.settings.broker.url, made.url());
        assert!(loaded.settings.listen.ip().is_loopback() && !loaded.settings.tls.enabled, "plain text stays on this host");
    }
}
