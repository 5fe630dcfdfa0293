//! The manager's program; all of it lives in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    conductor_manager::cmd::main()
}
