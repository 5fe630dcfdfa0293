//! `conductor-agent plugin check`.

use std::path::PathBuf;

use conductor_plugin::check_dir;

use super::Exit;

/// Flags of `plugin check`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The plugin's folder
    dir: PathBuf,
}

pub(super) fn main(arguments: &Arguments) -> Exit {
    match check_dir(&arguments.dir) {
        Ok(manifest) => {
            let operations: Vec<_> = manifest.operations.keys().map(String::as_str).collect();
            println!(
                "{} {} ({}) is right; operations: {}",
                manifest.name,
                manifest.version,
                manifest.mode,
                operations.join(", ")
            );
            Exit::Done
        }
        Err(violations) => {
            for violation in &violations {
                eprintln!("{}: {} {}", arguments.dir.display(), violation.path, violation.message);
            }
            Exit::Failed
        }
    }
}
