//! `conductor-manager setup`: makes an installed manager ready for work, as often as it is called, and says what it changed.
//!
//! Files first, then the broker, then the service. Every step looks at what is there and changes only what differs, so that a
//! setup that was cut off is finished by the next one.

mod broker;
mod broker_files;
mod file;
mod service;
mod settings_file;

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::clock;
use crate::config::{self, BrokerUrl, ConfigError, Flags};
use crate::pki::{Authority, PkiError};
pub use broker::BrokerStepError;
pub use file::{FileError, Owner};

/// The account that the packages make for the manager.
const MANAGER_ACCOUNT: &str = "conductor";

/// Where RabbitMQ speaks TLS.
const BROKER_PORT: u16 = 5671;
/// RabbitMQ's management API, which is for this host alone.
const MANAGEMENT_URL: &str = "http://127.0.0.1:15672";

/// What a person may choose.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port of the REST API.
    pub port: u16,
    /// The name or address by which hosts reach this one; the one of the last setup, or this host's name, where absent.
    pub name: Option<String>,
    /// Whether RabbitMQ runs on this host and is this command's to set up.
    pub local_broker: bool,
    /// Whether to start services.
    pub start: bool,
}

/// What setup said and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What was changed, one line each; empty when everything was as it should be.
    pub changes: Vec<String>,
    /// What stayed for a person to do.
    pub advice: Vec<String>,
    /// The address of the REST API, as other hosts reach it.
    pub address: String,
    /// The admin token that the first start made, shown this once.
    pub admin_token: Option<String>,
}

/// Why setup stopped. What was done until then is right, and is not done again.
#[derive(Debug, Error)]
pub enum SetupError {
    /// Only root may do it.
    #[error("setup changes files of the system and services: run it as root")]
    NotRoot,
    /// The packages' account is missing.
    #[error("there is no account `{MANAGER_ACCOUNT}` on this host; install the package conductor-manager, which makes it")]
    NoAccount,
    /// RabbitMQ is not installed.
    #[error(
        "RabbitMQ is not on this host; install rabbitmq-server, or set broker.url in /etc/conductor/manager.conf.d and run setup \
         with --broker-elsewhere"
    )]
    NoBroker,
    /// A file.
    #[error("a file cannot be put in place")]
    File(#[from] FileError),
    /// The broker.
    #[error("RabbitMQ cannot be set up")]
    Broker(#[from] BrokerStepError),
    /// The settings, of which setup wrote some.
    #[error("the settings cannot be used; mend the file and run setup again")]
    Settings(#[from] ConfigError),
    /// Keys or certificates.
    #[error("keys and certificates cannot be made")]
    Pki(#[from] PkiError),
    /// A service.
    #[error("{action} failed: {said}")]
    Service {
        /// The command.
        action: String,
        /// What it said.
        said: String,
    },
    /// The manager does not answer.
    #[error(
        "the manager was started and is not well within {waited_s} s ({last}); `conductor-manager doctor` and \
         `journalctl -u conductor-manager` say why"
    )]
    NotWell {
        /// How long it had.
        waited_s: u64,
        /// What it answered last.
        last: String,
    },
}

/// Where everything lies; another root is for tests.
#[derive(Clone, Debug)]
struct Places {
    settings: PathBuf,
    authority: PathBuf,
    data: PathBuf,
    rabbitmq: PathBuf,
}

impl Places {
    fn under(root: &Path) -> Self {
        Self {
            settings: root.join("etc/conductor/manager.conf.d/10-setup.toml"),
            authority: root.join("etc/conductor/ca.crt"),
            data: root.join("var/lib/conductor"),
            rabbitmq: root.join("etc/rabbitmq"),
        }
    }
}

/// Sets this host up.
///
/// # Errors
/// The first step that failed.
pub async fn run(options: &Options) -> Result<Outcome, SetupError> {
    if !nix::unistd::geteuid().is_root() {
        return Err(SetupError::NotRoot);
    }
    let manager = Owner::of(MANAGER_ACCOUNT)?.ok_or(SetupError::NoAccount)?;
    let places = Places::under(Path::new("/"));
    let mut outcome = Outcome::default();

    file::folder(&places.data, 0o750, manager, &mut outcome.changes)?;
    let account = settings_file::write(&places.settings, options, manager, &mut outcome.changes)?;
    // With whatever this host's owner wrote beside it.
    let settings = config::load(&Flags::default())?.settings;
    let now = clock::now();
    let authority = Authority::open_or_create(&settings.pki_dir(), now)?;
    let broker_keys = authority.ensure_server("broker", &settings.server_names(), now)?;
    file::give(&settings.pki_dir(), manager)?;
    // For command lines on this host.
    file::put(&places.authority, authority.certificate_pem(), 0o644, manager.roots(), &mut outcome.changes)?;
    if options.local_broker {
        let rabbitmq = Owner::of(broker_files::ACCOUNT)?.ok_or(SetupError::NoBroker)?;
        let pem = authority.certificate_pem();
        let keys = broker_files::write_keys(&places.rabbitmq, rabbitmq, pem, &broker_keys, &mut outcome.changes)?;
        let files = broker_files::write(&places.rabbitmq, rabbitmq, &mut outcome.changes)?;
        if options.start {
            service::enable("rabbitmq-server", &mut outcome.changes)?;
            service::start("rabbitmq-server", keys || files, &mut outcome.changes)?;
            broker::prepare(&account, &mut outcome.changes).await?;
        } else {
            outcome.advice.push("start rabbitmq-server, then run setup again: it makes the manager's account in it".to_owned());
        }
    }
    if options.start {
        service::enable("conductor-manager", &mut outcome.changes)?;
        let settings_changed = !outcome.changes.is_empty();
        service::start("conductor-manager", settings_changed, &mut outcome.changes)?;
        service::wait_for_manager(&settings, authority.certificate_pem()).await?;
        outcome.admin_token = take_token(&settings.admin_token_file())?;
    }
    outcome.address = settings.public_address();
    Ok(outcome)
}

/// The token that the first start left in a file, which goes: it is shown once, and only its hash stays.
fn take_token(path: &Path) -> Result<Option<String>, FileError> {
    match std::fs::read_to_string(path) {
        Ok(token) => {
            std::fs::remove_file(path).map_err(|source| FileError::Write { path: path.to_owned(), source })?;
            Ok(Some(token.trim().to_owned()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FileError::Read { path: path.to_owned(), source }),
    }
}

/// The manager's own account at the broker.
#[derive(Clone, Debug)]
struct BrokerAccount {
    user: String,
    password: String,
    vhost: String,
}

impl BrokerAccount {
    fn url(&self) -> BrokerUrl {
        // By the name that is in its certificate.
        let Self { user, password, vhost } = self;
        BrokerUrl::encrypted(user, password, "localhost", BROKER_PORT, vhost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_shown_once() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("admin.token");
        std::fs::write(&file, "cdt_1\n").unwrap();
        assert_eq!(take_token(&file).unwrap().as_deref(), Some("cdt_1"));
        assert_eq!(take_token(&file).unwrap(), None);
    }
}
