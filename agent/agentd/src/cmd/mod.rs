//! The command line: one file per command.

mod confine;
mod ctx;
mod doctor;
mod drain;
mod enroll;
mod facts;
mod plugin_check;
mod plugin_run;
mod run;
mod runner;

use std::path::Path;
use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{CommandFactory, Parser, Subcommand};
use conductor_boot::BuildInfo;

pub(crate) use runner::own_name;

/// How a command ended, as a number for the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Well.
    Done,
    /// Badly; standard error says why.
    Failed,
    /// What was asked for makes no sense.
    Usage,
    /// Badly, in a way that has a number of its own.
    Code(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::from(1),
            Exit::Usage => Self::from(2),
            Exit::Code(code) => Self::from(code),
        }
    }
}

#[derive(Debug, Parser)]
#[command(name = "conductor-agent", about = "Runs Conductor's tasks on this host", version = VERSION.as_str(), arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent until it is stopped.
    Run(run::Arguments),
    /// Join an installation.
    Enroll(enroll::Arguments),
    /// Run plugins for the agent: the process that owns them, which outlives the agent.
    Runner(runner::Arguments),
    /// Show what the agent finds out about this host.
    Facts(facts::Arguments),
    /// Be given nothing new, over restarts too, until `undrain`; what runs goes on.
    Drain(drain::Arguments),
    /// Take tasks again.
    Undrain(drain::Place),
    /// Look for what is wrong with the agent of this host, and say what to do; ends with 1 when something is.
    Doctor(doctor::Arguments),
    /// Try a plugin without a manager.
    #[command(subcommand)]
    Plugin(PluginCommand),
    /// Take limits on and become a program; called by the runner
    #[command(hide = true)]
    Confine(confine::Arguments),
    /// Speak for a running task to its agent; also done when called as `ctx`
    Ctx(ctx::Arguments),
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// Say everything that is wrong with a plugin's folder.
    Check(plugin_check::Arguments),
    /// Run one operation of a plugin and show everything it says.
    Run(plugin_run::Arguments),
}

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let build = BuildInfo { name: "", version: env!("CARGO_PKG_VERSION") };
    format!("{}, TLS by rustls with ring, names resolved by the C library", build.to_string().trim())
});

/// The command line, for manual pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Runs what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    crate::sys::lookup::keep_inside();
    let own_name = std::env::args_os().next();
    if own_name.is_some_and(|name| Path::new(&name).file_name().is_some_and(|name| name == "ctx")) {
        return ctx::main(std::env::args_os()).into();
    }
    let exit = match Arguments::parse().command {
        Command::Run(arguments) => run::main(arguments),
        Command::Enroll(arguments) => enroll::main(arguments),
        Command::Runner(arguments) => runner::main(&arguments),
        Command::Facts(arguments) => facts::main(arguments),
        Command::Drain(arguments) => drain::begin(arguments),
        Command::Undrain(place) => drain::end(place),
        Command::Doctor(arguments) => doctor::main(arguments),
        Command::Plugin(PluginCommand::Check(arguments)) => plugin_check::main(&arguments),
        Command::Plugin(PluginCommand::Run(arguments)) => plugin_run::main(&arguments),
        Command::Confine(arguments) => confine::main(&arguments),
        Command::Ctx(arguments) => ctx::run(arguments),
    };
    exit.into()
}

/// Says an error with everything behind it.
fn fail(error: &(dyn std::error::Error + 'static)) -> Exit {
    eprintln!("conductor-agent: {}", conductor_boot::report(error));
    Exit::Failed
}

/// The agent's runtime: one thread, and few and short-lived ones for what blocks.
///
/// # Errors
/// When the system gives no event queue.
pub(crate) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    if let Err(error) = crate::sys::descriptors::keep_private() {
        tracing::warn!(%error, "descriptors that this process was started with may reach plugins");
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .thread_keep_alive(std::time::Duration::from_secs(2))
        .thread_stack_size(512 * 1024)
        .build()
}
