//! `conductor`: the command line. Data goes to standard output, everything else to standard error.

mod args;
mod commands;
mod definitions;
mod error;
mod exit;
mod follow;
mod input;
mod output;
mod time;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

/// The command line, for manual pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    args::Args::command()
}

/// Reads the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    let args = args::Args::parse();
    conductor_client::install_tls_provider();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(commands::run(args)),
        Err(source) => Err(error::CliError::Runtime { source }),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::complain(&error);
            error.exit().into()
        }
    }
}
