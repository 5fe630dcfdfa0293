//! `conductor-agent confine`: what the runner starts in a program's place when there are limits to take on.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Exit, fail};
use crate::sys::confine::Confinement;

/// Ends like a shell whose command cannot be run.
const CANNOT_RUN: u8 = 126;

/// Flags of `confine`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The limits, as JSON
    limits: String,
    /// The program
    program: PathBuf,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

pub(super) fn main(arguments: &Arguments) -> Exit {
    let confinement: Confinement = match serde_json::from_str(&arguments.limits) {
        Ok(confinement) => confinement,
        Err(error) => {
            eprintln!("conductor-agent: the limits are not understood: {error}");
            return Exit::Usage;
        }
    };
    // The last line of standard error is what a task is said to have failed of.
    fail(&confinement.become_program(&arguments.program, &arguments.args));
    Exit::Code(CANNOT_RUN)
}
