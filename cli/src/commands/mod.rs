//! One file per command.

mod agents;
mod apply;
mod definitions;
mod files;
mod logs;
mod node_instances;
mod plugins;
mod run;
mod tasks;
mod version;
mod workflows;

use std::path::Path;

use conductor_client::Client;

use crate::args::{Args, Command, Common};
use crate::error::CliError;
use crate::exit::Exit;

/// Carries out what the arguments say.
pub async fn run(args: Args) -> Result<Exit, CliError> {
    let client = connect(&args.common)?;
    let format = args.common.output;
    match args.command {
        Command::Apply(apply) => apply::run(&client, format, &apply).await,
        Command::Definitions { command } => definitions::run(&client, format, command).await,
        Command::Run(run) => Box::pin(run::run(&client, format, run)).await,
        Command::Workflows(workflows) => Box::pin(workflows::run(&client, format, workflows)).await,
        Command::Tasks(tasks) => tasks::run(&client, format, tasks).await,
        Command::Logs(logs) => Box::pin(logs::run(&client, format, &logs)).await,
        Command::Agents { command } => agents::run(&client, format, command).await,
        Command::Plugins { command } => plugins::run(&client, format, command).await,
        Command::Files { command } => files::run(&client, format, command).await,
        Command::NodeInstances { command } => node_instances::run(&client, format, command).await,
        Command::Version => version::run(&client, format).await,
    }
}

/// Where the authority's certificate lies on a host that was set up.
const CA_FILE: &str = "/etc/conductor/ca.crt";

/// A client that trusts whom the arguments say; without a word of them, whom this host was set up to trust.
fn connect(common: &Common) -> Result<Client, CliError> {
    let set_up = Path::new(CA_FILE);
    let ca_file = common.ca_file.as_deref().or_else(|| set_up.exists().then_some(set_up));
    let (url, token) = (common.url.as_str(), common.token.as_deref());
    match ca_file.filter(|_| url.starts_with("https:")) {
        Some(path) => {
            let pem = std::fs::read(path).map_err(|source| CliError::Read { path: path.to_owned(), source })?;
            Client::trusting(url, token, &pem).map_err(|source| CliError::Authority { path: path.to_owned(), source })
        }
        None => Ok(Client::new(url, token)?),
    }
}
