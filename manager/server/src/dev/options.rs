//! What the stack may be told.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::{BrokerUrl, Settings};

/// How to bring the stack up.
#[derive(Clone, Debug)]
pub struct DevOptions {
    /// The manager's settings; their data directory and broker are replaced by the stack's own.
    pub settings: Settings,
    /// The stack's folder; a temporary one, removed at the end, where absent.
    pub data_dir: Option<PathBuf>,
    /// Where the REST API listens. Port 0 = any free one.
    pub listen: SocketAddr,
    /// How many agents to start.
    pub agents: usize,
    /// How many tasks each runs at once; the agent's own default where absent.
    pub slots: Option<u32>,
    /// Written when everything answers.
    pub ready_file: Option<PathBuf>,
    /// A broker that runs already, instead of one of our own.
    pub amqp_url: Option<BrokerUrl>,
    /// The agent's program; `conductor-agent` beside this one where absent.
    pub agent_binary: Option<PathBuf>,
    /// Where logs are written; `log` in the stack's folder where absent.
    pub log_dir: Option<PathBuf>,
}
