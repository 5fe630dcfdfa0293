//! Chores of the repository: `cargo xtask purity`, `cargo xtask dist`.

mod cargo;
mod dist;
mod purity;
mod source;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Chores of the repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Fail where a crate or module knows what it must not know
    Purity,
    /// Build the programs for release into dist/, the agent as one static file, and check their size
    Dist(dist::Arguments),
}

fn main() -> ExitCode {
    let result = match Cli::parse().chore {
        Chore::Purity => purity::run(),
        Chore::Dist(arguments) => dist::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
