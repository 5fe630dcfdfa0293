//! Why a node did not start.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Why a private broker node could not be started.
#[derive(Debug, Error)]
pub enum BrokerNodeError {
    /// RabbitMQ is not installed.
    #[error(
        "rabbitmq-server is not installed; install it (on Debian and Ubuntu: apt-get install rabbitmq-server), or name a broker \
         that runs already with --amqp-url"
    )]
    NotInstalled,
    /// Erlang's port mapper is missing, which comes with every Erlang.
    #[error("epmd is not installed; install Erlang (on Debian and Ubuntu: apt-get install erlang-base)")]
    NoEpmd,
    /// The account of the broker cannot be looked up.
    #[error("cannot look up the user rabbitmq")]
    Account(#[source] nix::Error),
    /// A folder or file of the node cannot be made.
    #[error("cannot prepare {}", path.display())]
    Prepare {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What an earlier start wrote about the node cannot be read.
    #[error("{} is not what an earlier start wrote; remove the folder to begin anew", path.display())]
    Identity {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// No free port was found.
    #[error("no free port was found on 127.0.0.1")]
    NoPort,
    /// A program could not be started.
    #[error("cannot start {}", program.display())]
    Spawn {
        /// Which.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The node ended before it answered.
    #[error("RabbitMQ ended while it started ({status}); its last words in {} were:\n{words}", log.display())]
    Died {
        /// How it ended.
        status: String,
        /// Where it wrote.
        log: PathBuf,
        /// The end of that.
        words: String,
    },
    /// The node did not answer in time.
    #[error("RabbitMQ did not answer on port {port} within {} s; see {}", waited.as_secs(), log.display())]
    Silent {
        /// Where it should have answered.
        port: u16,
        /// How long it was given.
        waited: Duration,
        /// Where it wrote.
        log: PathBuf,
    },
}

impl BrokerNodeError {
    /// A preparation of `path` that failed.
    pub(super) fn prepare(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Prepare { path, source }
    }
}
