//! The command line of `conductor-manager`. One file per subcommand.

mod config;
mod dev;
mod doctor;
mod serve;
mod setup;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use conductor_boot::{BuildInfo, report};

/// Decides what runs where and when, and hands it to agents over RabbitMQ.
#[derive(Debug, Parser)]
#[command(
    name = "conductor-manager",
    after_help = "Settings come from, later wins: defaults, /etc/conductor/manager.toml, manager.conf.d/*.toml beside it, the \
                  environment (CONDUCTOR_SECTION__KEY, as in CONDUCTOR_LEASE__INTERVAL_MS), flags.\n\
                  CONDUCTOR_LOG sets the level of the logs, as in debug or info,lapin=warn."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the manager
    Serve(serve::Arguments),
    /// Bring up RabbitMQ, a manager and agents in one folder, for development and tests
    Dev(dev::Arguments),
    /// Make an installed manager and its RabbitMQ ready for work; say what was changed
    Setup(setup::Arguments),
    /// Look for what is wrong with this manager, and say what to do; ends with 1 when something is
    Doctor(doctor::Arguments),
    /// Look at the settings
    Config(config::Arguments),
    /// Evaluate scripts for the manager that started this; nothing for people
    #[command(name = SCRIPT_WORKER, hide = true)]
    ScriptWorker,
}

/// The subcommand that makes this program a helper process for scripts.
pub(crate) const SCRIPT_WORKER: &str = "script-worker";

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    /// It did what it was asked to.
    Done,
    /// Something failed; standard error says what. Wrong arguments end with 2, which is clap's.
    Failed,
    /// The settings cannot be used.
    Settings,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Settings => 3,
        })
    }
}

/// The command line, for manual pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Reads the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    let build = BuildInfo { name: "conductor-manager", version: env!("CARGO_PKG_VERSION") };
    let text = build.to_string();
    // clap writes the name itself. It lives as long as the process.
    let version: &'static str = text.trim_start_matches(build.name).trim_start().to_owned().leak();
    let matches = Cli::command().version(version).get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    let exit = match cli.command {
        Command::Serve(arguments) => serve::main(arguments),
        Command::Dev(arguments) => dev::main(arguments),
        Command::Setup(arguments) => setup::main(&arguments),
        Command::Doctor(arguments) => doctor::main(arguments),
        Command::Config(arguments) => config::main(arguments),
        Command::ScriptWorker => return conductor_script::worker::run(),
    };
    exit.into()
}

/// Says why the program ends.
fn fail(exit: Exit, error: &(dyn std::error::Error + 'static)) -> Exit {
    eprintln!("conductor-manager: {}", report(error));
    exit
}

/// Runs `work` on an asynchronous runtime of as many threads as there are processors.
fn block_on(work: impl Future<Output = Exit>) -> Exit {
    // Both TLS users, REST and AMQP, take the process's provider; a second installation changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(work),
        Err(error) => fail(Exit::Failed, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_stack_is_asked_for_as_documented() {
        let line = "conductor-manager dev --data-dir D --listen 127.0.0.1:0 --agents 3 --ready-file F --slots 4 \
                    --amqp-url amqp://h --agent-binary A";
        assert!(Cli::try_parse_from(line.split_whitespace()).is_ok());
    }
}
