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

use crate::config::BrokerUrl;
pub use broker::BrokerStepError;
pub use file::{FileError, Owner};

/// The account that the packages make for the manager.
const MANAGER_ACCOUNT: &str = "conductor";

/// What a person may choose.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port of the REST API.
    pub port: u16,
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
    /// A service.
    #[error("{action} failed: {said}")]
    Service {
        /// The command.
        action: String,
        /// What it said.
        said: String,
    },
    /// The manager does not answer.
    #[error("the manager was started and does not answer within {waited_s} s; `journalctl -u conductor-manager` says why")]
    NoAnswer {
        /// How long it had.
        waited_s: u64,
    },
}

/// Where everything lies; another root is for tests.
#[derive(Clone, Debug)]
struct Places {
    settings: PathBuf,
    data: PathBuf,
    rabbitmq: PathBuf,
}

impl Places {
    fn under(root: &Path) -> Self {
        Self {
            settings: root.join("etc/conductor/manager.conf.d/10-setup.toml"),
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
    if options.local_broker {
        let rabbitmq = Owner::of(broker_files::ACCOUNT)?.ok_or(SetupError::NoBroker)?;
        let changed = broker_files::write(&places.rabbitmq, rabbitmq, &mut outcome.changes)?;
        if options.start {
            service::enable("rabbitmq-server", &mut outcome.changes)?;
            service::start("rabbitmq-server", changed, &mut outcome.changes)?;
            broker::prepare(&account, &mut outcome.changes).await?;
        } else {
            outcome.advice.push("start rabbitmq-server, then run setup again: it makes the manager's account in it".to_owned());
        }
    }
    if options.start {
        service::enable("conductor-manager", &mut outcome.changes)?;
        let settings_changed = !outcome.changes.is_empty();
        service::start("conductor-manager", settings_changed, &mut outcome.changes)?;
        service::wait_for_manager(options.port).await?;
        outcome.admin_token = take_token(&places.data.join("admin.token"))?;
    }
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
        BrokerUrl::loopback(&self.user, &self.password, 5672, &self.vhost)
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
