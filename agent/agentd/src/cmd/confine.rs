//! `conductor-agent confine`: what the runner starts in a program's place when there are limits to take on.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use super::Exit;
use crate::sys::confine::Confinement;

/// Ends like a shell whose command cannot be run.
const CANNOT_RUN: u8 = 126;
/// The event channel of a plugin's process.
const EVENTS: &str = "/proc/self/fd/3";

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
            say(&format!("the limits are not understood: {error}"));
            return Exit::Usage;
        }
    };
    say(&conductor_boot::report(&confinement.become_program(&arguments.program, &arguments.args)).to_string());
    Exit::Code(CANNOT_RUN)
}

/// Says why as the plugin would have: whoever waits for it listens there.
fn say(message: &str) {
    eprintln!("conductor-agent: {message}");
    let event = serde_json::json!({"type": "error", "message": message});
    if let Ok(mut events) = std::fs::OpenOptions::new().write(true).open(EVENTS) {
        // Nobody listens to one that was called by hand.
        let _ = writeln!(events, "{event}");
    }
}
