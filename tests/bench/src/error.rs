//! Why there are no figures.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Why a measurement could not be made. A figure that misses its target is none of these.
#[derive(Debug, Error)]
pub enum BenchError {
    /// The command line is not understood.
    #[error(
        "{reason}; known are --bin-dir DIR, --agent-binary FILE, --slots N, --out FILE, --work-dir DIR and --only agents|workers"
    )]
    Usage {
        /// What is wrong.
        reason: String,
    },
    /// A program that is measured is not there.
    #[error("{} is not there; `make bench` builds it", .path.display())]
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// The system refused something.
    #[error("cannot {what}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// A process could not be started, waited for or signalled.
    #[error("cannot {what}")]
    Process {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        #[source]
        source: nix::Error,
    },
    /// A program ended although it was to stay.
    #[error("{program} ended with {status}; its last lines:\n{log}")]
    Ended {
        /// Which.
        program: &'static str,
        /// How.
        status: std::process::ExitStatus,
        /// The end of its output.
        log: String,
    },
    /// Something did not happen in time.
    #[error("{what} did not happen within {} s{detail}", .limit.as_secs())]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        limit: Duration,
        /// What is known beside; empty or beginning with a separator.
        detail: String,
    },
    /// The manager refused.
    #[error("{what} failed")]
    Client {
        /// What was asked for.
        what: &'static str,
        /// What the manager says.
        #[source]
        source: conductor_client::ClientError,
    },
    /// A workflow did not end as it should.
    #[error("workflow {id} ended as {status}: {reason}")]
    Workflow {
        /// Which.
        id: String,
        /// How.
        status: String,
        /// Why.
        reason: String,
    },
    /// The plugin could not be packed.
    #[error("the no-op plugin cannot be packed")]
    Pack(#[from] conductor_plugin::PackError),
    /// Something has a shape that is not expected.
    #[error("{what} has an unexpected shape: {reason}")]
    Shape {
        /// What.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// RabbitMQ refused.
    #[error("cannot {what}")]
    Broker {
        /// What was tried.
        what: &'static str,
        /// What it says.
        #[source]
        source: lapin::Error,
    },
    /// The database could not be opened.
    #[error("the measured database cannot be opened")]
    OpenStore(#[from] conductor_store::OpenError),
    /// The database refused.
    #[error("the measured database failed")]
    Store(#[from] conductor_store::StoreError),
    /// Somebody pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl BenchError {
    /// For `map_err`: what was tried, beside what the system says.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }

    /// For `map_err`: what was asked of the manager.
    pub fn client(what: &'static str) -> impl FnOnce(conductor_client::ClientError) -> Self {
        move |source| Self::Client { what, source }
    }

    /// For `map_err`: what was asked of RabbitMQ.
    pub fn broker(what: &'static str) -> impl FnOnce(lapin::Error) -> Self {
        move |source| Self::Broker { what, source }
    }
}
