//! What can go wrong on the command line.

use std::io;
use std::path::PathBuf;

use conductor_client::ClientError;
use conductor_plugin::PackError;
use thiserror::Error;

use crate::exit::Exit;

/// Why a command failed.
#[derive(Debug, Error)]
pub enum CliError {
    /// The manager refused or cannot be reached.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A file that is to name the manager's authority.
    #[error("{} cannot be used as the manager's authority", .path.display())]
    Authority {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: ClientError,
    },
    /// A file that cannot be read.
    #[error("{} cannot be read", .path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file that cannot be written.
    #[error("{} cannot be written", .path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Something in a file of definitions.
    #[error("{place}: {message}")]
    Definition {
        /// File, document, name.
        place: String,
        /// What is wrong and what is expected.
        message: String,
    },
    /// Several faults in definitions.
    #[error("{} faults in the definitions; nothing was applied\n  {}", .faults.len(), .faults.join("\n  "))]
    Definitions {
        /// Each with its place.
        faults: Vec<String>,
    },
    /// An argument that clap cannot judge.
    #[error("{message}")]
    Usage {
        /// What is wrong and what is expected.
        message: String,
    },
    /// A directory that is no plugin, or cannot be packed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A file that is no plugin archive.
    #[error("{} is no plugin archive: {message}", .path.display())]
    Archive {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        message: String,
        /// What to do.
        hint: &'static str,
    },
    /// An agent that still has tasks.
    #[error("agent {agent} still has tasks after {timeout_seconds} s; it stays cordoned")]
    StillBusy {
        /// Which.
        agent: String,
        /// How long was waited, in seconds.
        timeout_seconds: u64,
    },
    /// Output that cannot be shown in the format asked for.
    #[error("the output cannot be written as {format}: {message}")]
    Format {
        /// The format.
        format: &'static str,
        /// What is wrong.
        message: String,
    },
    /// No event loop.
    #[error("the program cannot be set up")]
    Runtime {
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl CliError {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Client(ClientError::Address { .. }) | Self::Usage { .. } => Exit::Usage,
            Self::Client(ClientError::Refused(_)) => Exit::Refused,
            Self::StillBusy { .. } => Exit::WorkflowTimedOut,
            Self::Client(_) => Exit::Unreachable,
            Self::Read { .. }
            | Self::Authority { .. }
            | Self::Write { .. }
            | Self::Definition { .. }
            | Self::Definitions { .. }
            | Self::Pack(_)
            | Self::Archive { .. }
            | Self::Format { .. }
            | Self::Runtime { .. } => Exit::Local,
        }
    }

    /// What to do next; may be empty.
    pub fn hint(&self) -> &str {
        match self {
            Self::Client(error) | Self::Authority { source: error, .. } => error.hint(),
            Self::Archive { hint, .. } => hint,
            Self::StillBusy { .. } => "wait longer with --timeout-seconds, or see `conductor agents get` for what it has",
            Self::Pack(PackError::NotAPlugin { .. }) => {
                "mend it; `conductor-agent plugin check DIR` says the same without a manager"
            }
            _ => "",
        }
    }

    /// A stable code of the manager's, where there is one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Client(error) => error.code(),
            _ => None,
        }
    }
}
