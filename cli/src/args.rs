//! The arguments.

mod definitions;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

pub use self::definitions::{DefinitionArgs, DefinitionsCommand};
use crate::output::Format;

const EXIT_CODES: &str = "Exit codes:
  0    done; with --follow: the workflow completed
  1    the workflow failed
  2    wrong arguments
  3    the workflow was terminated
  4    the workflow timed out
  5    the manager refused the request
  6    the manager cannot be reached
  7    a local file cannot be read, written or understood
  130  interrupted; what was started goes on";

/// Runs work on hosts: definitions, workflows, tasks, agents and plugins of a Conductor manager.
#[derive(Debug, Parser)]
#[command(name = "conductor", version, after_help = EXIT_CODES)]
pub struct Args {
    #[command(flatten)]
    pub common: Common,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Debug, ClapArgs)]
pub struct Common {
    /// The manager's address.
    #[arg(long, env = "CONDUCTOR_URL", default_value = "http://127.0.0.1:53333", global = true, value_name = "URL")]
    pub url: String,
    /// The token to show it.
    #[arg(long, env = "CONDUCTOR_TOKEN", hide_env_values = true, global = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Certificate of the authority that issued the manager's, in PEM [default: /etc/conductor/ca.crt, where there is one].
    #[arg(long, env = "CONDUCTOR_CA_FILE", global = true, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// How data is written to standard output.
    #[arg(short, long, value_enum, default_value_t, global = true, value_name = "FORMAT")]
    pub output: Format,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Store task and workflow definitions from JSON or YAML files.
    Apply(ApplyArgs),
    /// What became of definitions: history, differences, locks.
    #[command(visible_alias = "definition")]
    Definitions {
        #[command(subcommand)]
        command: DefinitionsCommand,
    },
    /// Start a workflow.
    Run(RunArgs),
    /// List workflows, look at one, steer one.
    #[command(visible_alias = "workflow", args_conflicts_with_subcommands = true)]
    Workflows(WorkflowsArgs),
    /// The tasks of a workflow; one task; why a task waits.
    #[command(visible_alias = "task", args_conflicts_with_subcommands = true)]
    Tasks(TasksArgs),
    /// Log lines of a task, or of all tasks of a workflow.
    Logs(LogsArgs),
    /// List agents, look at one, leave one alone, forget one.
    #[command(visible_alias = "agent")]
    Agents {
        #[command(subcommand)]
        command: Option<AgentsCommand>,
    },
    /// List, upload or delete plugins.
    #[command(visible_alias = "plugin")]
    Plugins {
        #[command(subcommand)]
        command: Option<PluginsCommand>,
    },
    /// Put files into the manager's store, or get them out.
    #[command(visible_alias = "file")]
    Files {
        #[command(subcommand)]
        command: FilesCommand,
    },
    /// Node instances and their runtime properties.
    #[command(visible_alias = "node-instance")]
    NodeInstances {
        #[command(subcommand)]
        command: Option<NodeInstancesCommand>,
    },
    /// The version of this program and of the manager.
    Version,
}

#[derive(Debug, ClapArgs)]
pub struct ApplyArgs {
    /// A file, a directory of *.json, *.yaml and *.yml, or - for standard input. May be given several times.
    #[arg(short, long = "file", required = true, value_name = "PATH")]
    pub files: Vec<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub struct RunArgs {
    /// Name of the workflow definition.
    pub name: String,
    /// Its version; the highest unless given.
    #[arg(long, value_name = "N")]
    pub version: Option<i32>,
    /// One input; a VALUE that reads as JSON is JSON, any other a text. May be given several times.
    #[arg(short, long = "input", value_name = "KEY=VALUE")]
    pub inputs: Vec<String>,
    /// A JSON or YAML file with an object of inputs, or - for standard input.
    #[arg(long, value_name = "FILE")]
    pub input_file: Option<PathBuf>,
    /// Your own id for the run.
    #[arg(long, value_name = "ID")]
    pub correlation_id: Option<String>,
    /// Starting again with the same key gives the first run instead of a second one.
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    /// 0 to 99; higher goes first.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=99))]
    pub priority: Option<u8>,
    /// Show what happens until the workflow ends; the exit code says how it did.
    #[arg(short, long)]
    pub follow: bool,
}

#[derive(Debug, ClapArgs)]
pub struct WorkflowsArgs {
    #[command(subcommand)]
    pub command: Option<WorkflowsCommand>,
    #[command(flatten)]
    pub list: ListArgs,
}

#[derive(Clone, Debug, Default, ClapArgs)]
pub struct ListArgs {
    /// Only those of this definition.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Only those in this state, as in RUNNING.
    #[arg(long, value_name = "STATUS")]
    pub status: Option<String>,
    /// At most so many.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub limit: usize,
}

#[derive(Debug, Subcommand)]
pub enum WorkflowsCommand {
    /// The newest workflows.
    List(ListArgs),
    /// One workflow with its tasks.
    Get { id: String },
    /// Show what happens in a workflow until it ends; the exit code says how it did.
    Follow { id: String },
    /// Schedule nothing new in a workflow.
    Pause { id: String },
    /// Go on with a paused workflow.
    Resume { id: String },
    /// End a workflow.
    Terminate {
        id: String,
        /// Why; it is kept with the workflow.
        #[arg(long)]
        reason: Option<String>,
    },
}

#[derive(Debug, ClapArgs)]
pub struct TasksArgs {
    #[command(subcommand)]
    pub command: Option<TasksCommand>,
    /// The workflow whose tasks are listed.
    #[arg(required = true, value_name = "WORKFLOW_ID")]
    pub workflow: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum TasksCommand {
    /// The tasks of a workflow.
    List {
        #[arg(value_name = "WORKFLOW_ID")]
        workflow: String,
    },
    /// One task with its input and output.
    Get {
        #[arg(value_name = "TASK_ID")]
        id: String,
    },
    /// Why a task has no agent yet.
    Why {
        #[arg(value_name = "TASK_ID")]
        id: String,
    },
}

#[derive(Debug, ClapArgs)]
pub struct LogsArgs {
    /// A task, or a workflow for all its tasks.
    #[arg(value_name = "TASK_ID|WORKFLOW_ID")]
    pub id: String,
    /// Go on until the task or workflow ends.
    #[arg(short, long)]
    pub follow: bool,
}

#[derive(Debug, Subcommand)]
pub enum AgentsCommand {
    /// All agents.
    List,
    /// One agent with its facts.
    Get { id: String },
    /// Give an agent nothing new from now on; what it has goes on.
    Cordon {
        id: String,
        /// Why; it is shown where tasks wait for the agent.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let an agent be given tasks again.
    Uncordon { id: String },
    /// Cordon an agent and wait until what it has is over.
    Drain {
        id: String,
        /// Why; it is shown where tasks wait for the agent.
        #[arg(long)]
        reason: Option<String>,
        /// Give up waiting after this long; the agent stays cordoned.
        #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
        timeout_seconds: u64,
    },
    /// Tokens that let hosts in.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Let a host in that waits.
    Approve { id: String },
    /// Turn a host away that waits.
    Reject { id: String },
    /// Take an agent's identity back, at once.
    Revoke { id: String },
    /// Forget an agent that is not to come back.
    Delete {
        id: String,
        /// Also while it has tasks: they are lost.
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token, and print what to give to hosts: this once.
    Create {
        /// A label of every agent that it lets in; may be given several times.
        #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
        labels: Vec<(String, String)>,
        /// The pool that they are in.
        #[arg(long)]
        pool: Option<String>,
        /// How long it is good, as in 90s, 30m, 1h or 7d.
        #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = seconds)]
        ttl: u64,
        /// How many agents it may let in.
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// Hosts' addresses, as in 10.0.0.0/8; may be given several times [default: any]
        #[arg(long = "network", value_name = "CIDR")]
        networks: Vec<String>,
        /// Somebody must say yes to each host (conductor agents approve).
        #[arg(long)]
        manual: bool,
    },
    /// All tokens, without their secrets.
    List,
    /// Delete a token; agents that it let in stay.
    Delete { id: String },
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        Some(_) | None => Err("a label is written KEY=VALUE".to_owned()),
    }
}

/// A duration as in `1h`, in seconds.
fn seconds(text: &str) -> Result<u64, String> {
    let unit = text.chars().next_back().filter(char::is_ascii_alphabetic);
    let factor = match unit {
        None | Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 24 * 3600,
        Some(_) => return Err("a duration is written as in 90s, 30m, 1h or 7d".to_owned()),
    };
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic()).parse::<u64>();
    let seconds = number.ok().and_then(|number| number.checked_mul(factor)).filter(|seconds| *seconds > 0);
    seconds.ok_or_else(|| "a duration is written as in 90s, 30m, 1h or 7d".to_owned())
}

#[derive(Debug, Subcommand)]
pub enum PluginsCommand {
    /// All plugins in all versions.
    List,
    /// Upload a plugin: its directory, which is packed, or its .tar.gz or .tar.zst.
    Push {
        #[arg(value_name = "DIR|ARCHIVE")]
        path: PathBuf,
    },
    /// Take a plugin away.
    Delete {
        /// NAME@VERSION, or a digest.
        #[arg(value_name = "NAME@VERSION|DIGEST")]
        plugin: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum FilesCommand {
    /// Store a file as AREA/TENANT/PATH.
    Put {
        /// The local file, or - for standard input.
        file: PathBuf,
        /// Where to, as in site/default_tenant/site-1.0.0.tar.gz.
        path: String,
    },
    /// Get a file out.
    Get {
        /// Where from, as in site/default_tenant/site-1.0.0.tar.gz.
        path: String,
        /// The local file to write; standard output unless given.
        file: Option<PathBuf>,
    },
    /// Digest and length of a stored file.
    Stat { path: String },
    /// Take a file away.
    Delete { path: String },
}

#[derive(Debug, Subcommand)]
pub enum NodeInstancesCommand {
    /// All node instances.
    List,
    /// One node instance with its runtime properties.
    Get { id: String },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn tasks_take_a_workflow_or_a_verb() {
        let parse = |words: &[&str]| Args::try_parse_from([&["conductor", "tasks"], words].concat());
        assert!(parse(&["0198"]).is_ok());
        assert!(parse(&["why", "0198"]).is_ok());
        assert!(parse(&[]).is_err());
    }
}
