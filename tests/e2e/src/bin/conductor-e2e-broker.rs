//! Keeps the RabbitMQ node that the end-to-end stories share. Started by the first story that needs it.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: conductor-e2e-broker FOLDER");
        return ExitCode::from(2);
    };
    conductor_e2e::broker::keep(Path::new(&folder));
    ExitCode::SUCCESS
}
