//! `ctx`: for plugins and scripts, to speak to the agent that runs them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand, ValueEnum};
use conductor_wire::plugin_io::PluginEvent;
use serde_json::{Map, Value};

use super::{Exit, fail};
use crate::ctx::client::ask;
use crate::ctx::protocol::Ask;

/// Arguments of `ctx`.
#[derive(Debug, Parser)]
#[command(name = "ctx", about = "Speaks for a running task to the agent that runs it", arg_required_else_help = true)]
pub struct Arguments {
    /// Another node instance than the task's own
    #[arg(long = "instance", value_name = "ID")]
    instance_id: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The node instance that the task works on
    Instance {
        /// Another node instance than the task's own
        #[arg(long, value_name = "ID")]
        id: Option<String>,
        #[command(subcommand)]
        command: InstanceCommand,
    },
    /// The node that the instance is an instance of
    Node {
        #[command(subcommand)]
        command: NodeCommand,
    },
    /// The task itself
    Task {
        #[command(subcommand)]
        command: TaskCommand,
    },
    /// Add a key to the task's output
    Output {
        key: String,
        /// Taken as JSON where it is JSON, else as text
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Write a line to the task's log
    Logger {
        level: Level,
        #[arg(required = true, allow_hyphen_values = true, trailing_var_arg = true)]
        text: Vec<String>,
    },
    /// Fetch a file of the manager's store, as in blueprints/default_tenant/site/site.tar.gz, and print where it is
    DownloadResource {
        path: String,
        /// File to write [default: the resource's name, in the task's working directory]
        target: Option<PathBuf>,
    },
    /// Print this host's first address
    HostIp,
    /// Say how far the task is
    Progress {
        /// 0 to 100
        percent: f64,
        text: Vec<String>,
    },
    /// Say that there was nothing to do
    NotNeeded { text: Vec<String> },
    /// Fail the task so that it is tried again
    Retry { text: Vec<String> },
    /// Fail the task so that it is not tried again
    Abort { text: Vec<String> },
}

#[derive(Debug, Subcommand)]
enum InstanceCommand {
    /// Print its id
    Id,
    /// Print all runtime properties, or one; or set one (null removes it)
    RuntimeProperties {
        key: Option<String>,
        /// Taken as JSON where it is JSON, else as text
        #[arg(allow_hyphen_values = true)]
        value: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum NodeCommand {
    /// Print all properties, or one
    Properties { key: Option<String> },
}

#[derive(Debug, Subcommand)]
enum TaskCommand {
    /// Print the whole input, or one key
    Input { key: Option<String> },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// Runs `ctx` with these arguments, its own name first.
pub(super) fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    match Arguments::try_parse_from(arguments) {
        Ok(arguments) => run(arguments),
        Err(error) => {
            // Nobody reads it if this fails.
            let _ = error.print();
            if error.use_stderr() { Exit::Usage } else { Exit::Done }
        }
    }
}

/// Runs parsed arguments.
pub(super) fn run(arguments: Arguments) -> Exit {
    let other = arguments.instance_id;
    let request = match arguments.command {
        Command::Instance { id, command } => instance(id.or(other), command),
        Command::Node { command: NodeCommand::Properties { key } } => Ask::NodeProperty { key },
        Command::Task { command: TaskCommand::Input { key } } => Ask::TaskInput { key },
        Command::Output { key, value } => say(PluginEvent::Output { values: Map::from_iter([(key, parse(value))]) }),
        Command::Logger { level, text } => {
            let level = match level {
                Level::Debug => "debug",
                Level::Info => "info",
                Level::Warn => "warn",
                Level::Error => "error",
            };
            say(PluginEvent::Log { level: Some(level.to_owned()), message: text.join(" ") })
        }
        Command::DownloadResource { path, target } => match target_of(&path, target) {
            Ok(target) => Ask::Download { path, target },
            Err(error) => return fail(&error),
        },
        Command::HostIp => Ask::HostIp,
        Command::Progress { percent, text } => say(PluginEvent::Progress { percent: Some(percent), message: words(&text) }),
        Command::NotNeeded { text } => say(PluginEvent::NotNeeded { message: words(&text) }),
        Command::Retry { text } => failure(&text, true),
        Command::Abort { text } => failure(&text, false),
    };
    match ask(request) {
        Ok(Value::Null) => Exit::Done,
        Ok(Value::String(text)) => {
            println!("{text}");
            Exit::Done
        }
        Ok(value) => {
            println!("{value}");
            Exit::Done
        }
        Err(error) => fail(&error),
    }
}

fn instance(instance: Option<String>, command: InstanceCommand) -> Ask {
    match command {
        InstanceCommand::Id => Ask::InstanceId,
        InstanceCommand::RuntimeProperties { key, value: None } => Ask::Properties { instance, key },
        InstanceCommand::RuntimeProperties { key: None, value: Some(_) } => Ask::Properties { instance, key: None },
        InstanceCommand::RuntimeProperties { key: Some(key), value: Some(value) } => {
            Ask::SetProperty { instance, key, value: parse(value) }
        }
    }
}

fn say(event: PluginEvent) -> Ask {
    Ask::Say(Box::new(event))
}

fn failure(text: &[String], retryable: bool) -> Ask {
    let message = words(text).unwrap_or_else(|| "the plugin gave no reason".to_owned());
    say(PluginEvent::Error { class: None, message, retryable: Some(retryable) })
}

fn words(text: &[String]) -> Option<String> {
    (!text.is_empty()).then(|| text.join(" "))
}

/// JSON where it is JSON, else text.
fn parse(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// The agent writes the file, so it must know the whole path.
fn target_of(path: &str, target: Option<PathBuf>) -> std::io::Result<String> {
    let name = Path::new(path).file_name().map_or_else(|| "resource".into(), PathBuf::from);
    let target = match target {
        Some(target) if target.is_dir() => target.join(name),
        Some(target) => target,
        None => std::env::var_os("CONDUCTOR_WORK_DIR").map_or_else(PathBuf::new, PathBuf::from).join(name),
    };
    Ok(std::path::absolute(target)?.display().to_string())
}
