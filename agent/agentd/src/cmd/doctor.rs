//! `conductor-agent doctor`.

use std::path::PathBuf;

use conductor_boot::doctor::Health;

use super::Exit;
use crate::doctor;

/// Flags of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Settings file [default: /etc/conductor/agent.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to show the findings
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Form {
    #[default]
    Table,
    Json,
}

pub(super) fn main(arguments: Arguments) -> Exit {
    let findings = doctor::examine(arguments.config);
    match arguments.output {
        Form::Table => print!("{}", findings.table()),
        Form::Json => println!("{}", findings.json()),
    }
    match findings.worst() {
        Health::Good | Health::Warning => Exit::Done,
        Health::Bad => Exit::Failed,
    }
}
