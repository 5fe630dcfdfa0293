//! `conductor-manager doctor`.

use conductor_boot::doctor::Health;

use super::{Exit, block_on, serve};
use crate::doctor;

/// Flags of `doctor`.
#[derive(Debug, clap::Args)]
#[group(id = "doctor")]
pub(super) struct Arguments {
    #[command(flatten)]
    serve: serve::Arguments,
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
    block_on(async {
        let findings = doctor::examine(&arguments.serve.flags()).await;
        match arguments.output {
            Form::Table => print!("{}", findings.table()),
            Form::Json => println!("{}", findings.json()),
        }
        match findings.worst() {
            Health::Good | Health::Warning => Exit::Done,
            Health::Bad => Exit::Failed,
        }
    })
}
