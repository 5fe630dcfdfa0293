//! The arguments of `conductor definitions`.

use clap::{Args as ClapArgs, Subcommand};

/// Which definition.
#[derive(Debug, ClapArgs)]
pub struct DefinitionArgs {
    /// Name of the definition.
    pub name: String,
    /// It defines a task, not a workflow.
    #[arg(long)]
    pub task: bool,
}

#[derive(Debug, Subcommand)]
pub enum DefinitionsCommand {
    /// What was stored and removed under a name, by whom and when; the newest first.
    History {
        #[command(flatten)]
        of: DefinitionArgs,
    },
    /// A definition as it was stored once; `conductor apply -f -` stores it again.
    Show {
        #[command(flatten)]
        of: DefinitionArgs,
        /// Number of the revision, as `history` lists it.
        revision: u32,
    },
    /// What changed from one state of a definition to another: each a revision, as in 3, or a version, as in v2.
    Diff {
        #[command(flatten)]
        of: DefinitionArgs,
        /// [default: the revision before TO]
        from: Option<String>,
        /// [default: the newest revision]
        to: Option<String>,
    },
    /// Keep a definition from being overwritten or removed. New versions may be stored.
    Lock {
        #[command(flatten)]
        of: DefinitionArgs,
        /// Of a workflow definition; the highest unless given.
        #[arg(long, value_name = "N", conflicts_with = "task")]
        version: Option<i32>,
        /// Why; who is refused is told.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let a definition be changed again.
    Unlock {
        #[command(flatten)]
        of: DefinitionArgs,
        /// Of a workflow definition; the highest unless given.
        #[arg(long, value_name = "N", conflicts_with = "task")]
        version: Option<i32>,
    },
    /// All definitions that are locked.
    Locks,
}
