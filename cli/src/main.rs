//! The program `conductor`; all of it lives in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    conductor_cli::main()
}
