//! `conductor-agent runner`.

use std::path::PathBuf;

use conductor_boot::{LogSettings, init_logging};
use tokio::task::LocalSet;

use super::{Exit, fail, runtime};
use crate::policy;
use crate::runner::desk::process::{self, RunnerOptions};

/// Most bytes of log that are kept on disk for one agent while they cannot be sent.
const SPOOL_BYTES_DEFAULT: u64 = 256 * 1024 * 1024;

/// Flags of `runner`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where it listens for its agent [default: /run/conductor-runner/USER.sock]
    #[arg(long, value_name = "PATH", env = "CONDUCTOR_RUNNER_SOCKET")]
    socket: Option<PathBuf>,
    /// Where it keeps everything [default: /var/lib/conductor-runner/USER]
    #[arg(long, value_name = "DIR", env = "CONDUCTOR_RUNNER_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// User of the agents that may connect, beside root and the runner's own
    #[arg(long, value_name = "USER", default_value = "conductor-agent")]
    agent_user: String,
    /// What this host lets run, whatever the manager says
    #[arg(long, value_name = "FILE", default_value = policy::DEFAULT_FILE)]
    policy: PathBuf,
    /// Leave the session and the terminal of whoever started it
    #[arg(long)]
    detach: bool,
}

pub(super) fn main(arguments: &Arguments) -> Exit {
    // A leader of a group cannot leave its session, and need not.
    if arguments.detach
        && let Err(error) = nix::unistd::setsid()
    {
        tracing::debug!(%error, "the runner stays in its session");
    }
    if let Err(error) = init_logging(&LogSettings::default()) {
        return fail(&error);
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let user = own_name();
    let options = RunnerOptions {
        socket: arguments.socket.clone().unwrap_or_else(|| format!("/run/conductor-runner/{user}.sock").into()),
        data: arguments.data_dir.clone().unwrap_or_else(|| format!("/var/lib/conductor-runner/{user}").into()),
        spool_bytes: SPOOL_BYTES_DEFAULT,
        policy_file: arguments.policy.clone(),
        user,
        // The group of whoever started it is not its own.
        uses_cgroups: !arguments.detach,
        clients: user_id(&arguments.agent_user).filter(|id| *id != nix::unistd::geteuid().as_raw()).into_iter().collect(),
    };
    match LocalSet::new().block_on(&runtime, process::run(options)) {
        Ok(()) => Exit::Done,
        Err(error) => fail(&error),
    }
}

/// The name of the user that this process runs as; its number where it has no name.
pub(crate) fn own_name() -> String {
    let own = nix::unistd::geteuid();
    nix::unistd::User::from_uid(own).ok().flatten().map_or_else(|| own.to_string(), |user| user.name)
}

fn user_id(name: &str) -> Option<u32> {
    nix::unistd::User::from_name(name).ok().flatten().map(|user| user.uid.as_raw())
}
