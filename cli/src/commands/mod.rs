//! One file per command.

mod agents;
mod apply;
mod files;
mod logs;
mod node_instances;
mod plugins;
mod run;
mod tasks;
mod version;
mod workflows;

use conductor_client::Client;

use crate::args::{Args, Command};
use crate::error::CliError;
use crate::exit::Exit;

/// Carries out what the arguments say.
pub async fn run(args: Args) -> Result<Exit, CliError> {
    let client = Client::new(&args.common.url, args.common.token.as_deref())?;
    let format = args.common.output;
    match args.command {
        Command::Apply(apply) => apply::run(&client, format, &apply).await,
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
