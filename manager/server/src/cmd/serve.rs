//! `conductor-manager serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use conductor_boot::init_logging;
use tokio::signal::unix::{SignalKind, signal};

use super::{Exit, block_on, fail};
use crate::config::{self, Flags};

/// Flags of `serve`; each outranks the environment and the settings file.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Settings file [default: /etc/conductor/manager.toml, where there is one]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the REST API listens; port 0 = any free one [default: 127.0.0.1:53333]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// Where the manager keeps everything [default: /var/lib/conductor]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The broker, as in amqp://USER:PASSWORD@HOST:5672/%2f; better set as CONDUCTOR_BROKER__URL, which nobody else can read
    #[arg(long, value_name = "URL")]
    amqp_url: Option<String>,
}

impl Arguments {
    pub(super) fn flags(self) -> Flags {
        Flags { config: self.config, listen: self.listen, data_dir: self.data_dir, amqp_url: self.amqp_url }
    }
}

pub(super) fn main(arguments: Arguments) -> Exit {
    let settings = match config::load(&arguments.flags()) {
        Ok(loaded) => loaded.settings,
        Err(error) => return fail(Exit::Settings, &error),
    };
    if let Err(error) = init_logging(&settings.log) {
        return fail(Exit::Settings, &error);
    }
    block_on(async {
        let (mut interrupt, mut terminate) = match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
            (Ok(interrupt), Ok(terminate)) => (interrupt, terminate),
            (Err(error), _) | (_, Err(error)) => return fail(Exit::Failed, &error),
        };
        let shutdown = async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        };
        match crate::serve(settings, shutdown, None).await {
            Ok(()) => Exit::Done,
            Err(error) => fail(Exit::Failed, &error),
        }
    })
}
