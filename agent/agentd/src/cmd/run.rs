//! `conductor-agent run`.

use std::path::PathBuf;

use conductor_boot::init_logging;
use tokio::task::LocalSet;

use super::{Exit, fail, own_name, runtime};
use crate::settings::Settings;
use crate::{daemon, instance};

/// Flags of `run`; each outranks the environment and the settings file.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The agent's id, unique in the installation [default: the host's name]
    #[arg(long)]
    id: Option<String>,
    /// The manager's address, as in https://conductor.example:8700
    #[arg(long, value_name = "URL")]
    manager: Option<String>,
    /// What the agent shows to be let in
    #[arg(long, env = "CONDUCTOR_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Where the agent keeps everything
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// How many tasks run at once [default: one per processor, at least two]
    #[arg(long)]
    slots: Option<u32>,
    /// What operators say of this host; may be given several times
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Settings file [default: /etc/conductor/agent.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The runner is a service of this host, the agent's own user's unless the settings name another
    #[arg(long)]
    service: bool,
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("a label is written KEY=VALUE".to_owned()),
    }
}

pub(super) fn main(arguments: Arguments) -> Exit {
    let loader = instance::loader(arguments.config, arguments.data_dir)
        .flag("--id", "id", arguments.id)
        .flag("--manager", "manager", arguments.manager)
        .flag("--token", "token", arguments.token)
        .flag("--slots", "slots", arguments.slots);
    let mut settings: Settings = match loader.load() {
        Ok(loaded) => loaded.settings,
        Err(error) => return fail(&error),
    };
    settings.labels.extend(arguments.labels);
    if arguments.service && settings.runner.effective_socket().is_none() {
        settings.runner.user = own_name();
    }
    if let Err(error) = init_logging(&settings.log) {
        return fail(&error);
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    match LocalSet::new().block_on(&runtime, daemon::run(settings)) {
        Ok(()) => Exit::Done,
        Err(error) => fail(&error),
    }
}
