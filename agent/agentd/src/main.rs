//! `conductor-agent`: the agent of Conductor. Called as `ctx`, it speaks for a task to the agent that runs it.

use std::process::ExitCode;

use conductor_agent::cmd;

fn main() -> ExitCode {
    // Two crates speak TLS; both use the provider that is installed here.
    let _ = rustls::crypto::ring::default_provider().install_default();
    cmd::main()
}
