//! Why the stack did not come up, or fell.

use std::io;
use std::path::PathBuf;

use conductor_boot::LoggingError;
use thiserror::Error;

use super::broker_node::BrokerNodeError;
use crate::ServeError;

/// Why the development stack could not be brought up or went down.
#[derive(Debug, Error)]
pub enum DevError {
    /// A folder or file of the stack cannot be made.
    #[error("cannot prepare {}", path.display())]
    Prepare {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another stack lives in the folder.
    #[error("another development stack runs in {}; give this one another --data-dir", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// The kernel would not let us look after orphaned processes.
    #[error("cannot become the parent of processes that operations leave behind")]
    Subreaper(#[source] nix::Error),
    /// Signals cannot be heard.
    #[error("cannot listen to signals")]
    Signals(#[source] io::Error),
    /// Logging cannot be set up.
    #[error("cannot log")]
    Logging(#[source] LoggingError),
    /// The broker did not come up.
    #[error("the broker did not come up")]
    Broker(#[source] BrokerNodeError),
    /// The manager did not come up or failed.
    #[error("the manager failed")]
    Manager(#[source] ServeError),
    /// The manager's task ended without being asked to.
    #[error("the manager ended unexpectedly; its log is {}", log.display())]
    ManagerEnded {
        /// Where it wrote.
        log: PathBuf,
    },
    /// The admin token cannot be read.
    #[error("cannot read the admin token from {}", path.display())]
    Token {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The agent's program is not where it should be.
    #[error("there is no conductor-agent at {}; build it (cargo build --bin conductor-agent) or say where it is with --agent-binary", path.display())]
    NoAgent {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Not everything answered in time.
    #[error("not everything came up within {seconds} s: {missing}; the logs are in {}", logs.display())]
    NotReady {
        /// How long was waited.
        seconds: u64,
        /// What is missing.
        missing: String,
        /// Where the logs are.
        logs: PathBuf,
    },
}

impl DevError {
    /// A preparation of `path` that failed.
    pub(super) fn prepare(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Prepare { path, source }
    }
}
