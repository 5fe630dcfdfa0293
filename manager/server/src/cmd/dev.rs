//! `conductor-manager dev`.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Exit, block_on, fail};
use crate::config::{self, BrokerUrl, Flags};
use crate::dev::{self, DevOptions};

/// Most agents of one stack: each is a process with a data folder of its own.
const AGENTS_MAX: u16 = 200;

/// Flags of `dev`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The stack's folder, kept at the end; a temporary one, removed at the end, where absent
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the REST API listens; port 0 = any free one
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// How many agents to start; each has the label role=web, but of three or more the last has role=control
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(0..=i64::from(AGENTS_MAX)))]
    agents: u16,
    /// How many tasks each agent runs at once [default: the agent's own]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    slots: Option<u32>,
    /// Written when everything answers: api, token, amqp, agents, pid, as JSON
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Use a broker that runs already instead of a private one
    #[arg(long, value_name = "URL", value_parser = |text: &str| BrokerUrl::try_from(text.to_owned()))]
    amqp_url: Option<BrokerUrl>,
    /// The agent's program [default: conductor-agent beside this program]
    #[arg(long, value_name = "PATH")]
    agent_binary: Option<PathBuf>,
    /// Where logs are written [default: log in the stack's folder]
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
    /// Settings of the manager; its data directory, address and broker are the stack's
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn main(arguments: Arguments) -> Exit {
    let flags = Flags { config: arguments.config, ..Flags::default() };
    let settings = match config::load_without_default_file(&flags) {
        Ok(loaded) => loaded.settings,
        Err(error) => return fail(Exit::Settings, &error),
    };
    let options = DevOptions {
        settings,
        data_dir: arguments.data_dir,
        listen: arguments.listen,
        agents: usize::from(arguments.agents),
        slots: arguments.slots,
        ready_file: arguments.ready_file,
        amqp_url: arguments.amqp_url,
        agent_binary: arguments.agent_binary,
        log_dir: arguments.log_dir,
    };
    block_on(async {
        match dev::run(options).await {
            Ok(()) => Exit::Done,
            Err(error) => fail(Exit::Failed, &error),
        }
    })
}
