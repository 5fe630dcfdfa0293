//! `conductor-agent enroll`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use conductor_boot::report;
use conductor_wire::identity::EnrolmentString;

use super::{Exit, fail, runtime};
use crate::facts;
use crate::identity::{self, Enrolment};
use crate::instance::{self, Instance};
use crate::settings::Settings;

/// Where packages put the agent's service.
const UNIT: &str = "/usr/lib/systemd/system/conductor-agent.service";

/// Joins an installation with a string that `conductor agents token create` printed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 10 manager unreachable, 11 wrong fingerprint, 13 enrolled already, 14 not approved yet, \
                  20 token unknown, 21 expired, 22 spent, 23 not for this address, 24 clock is wrong, 25 id taken, 26 rejected, 27 revoked.")]
pub struct Arguments {
    /// The enrolment string
    #[arg(value_name = "STRING", env = "CONDUCTOR_ENROLMENT_STRING", hide_env_values = true)]
    string: EnrolmentString,
    /// The agent's id, unique in the installation [default: the host's name; with -NAME behind it for a further agent]
    #[arg(long)]
    id: Option<String>,
    /// Where the agent keeps everything
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Settings file [default: /etc/conductor/agent.toml]. /etc/conductor/agent-NAME.toml makes a further agent of this host,
    /// as the management worker of a manager's: its data lies in /var/lib/conductor-agent-NAME, and its service is
    /// conductor-agent@NAME
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How long to wait for an operator to say yes, where one must, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    wait: u64,
    /// Replace the identity that this host has
    #[arg(long)]
    again: bool,
}

pub(super) fn main(arguments: Arguments) -> Exit {
    let instance = Instance::of(arguments.config.as_deref());
    let makes_folder = instance.is_some() && arguments.data_dir.is_none();
    let loader = instance::loader(arguments.config, arguments.data_dir).flag("--id", "id", arguments.id);
    let settings: Settings = match loader.load() {
        Ok(loaded) => loaded.settings,
        Err(error) => return fail(&error),
    };
    let id = match (settings.id, &instance) {
        (id, _) if !id.is_empty() => id,
        (_, Some(instance)) => instance.id(&facts::hostname()),
        (_, None) => facts::hostname(),
    };
    let id = match id.parse() {
        Ok(id) => id,
        Err(error) => return fail(&error),
    };
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    if makes_folder && let Err(error) = instance::make_data_dir(&settings.data_dir) {
        eprintln!("conductor-agent: cannot make {}: {error}", settings.data_dir.display());
        return Exit::Failed;
    }
    let dir = identity::folder(&settings.data_dir);
    let enrolment = Enrolment {
        string: arguments.string,
        id,
        dir: &dir,
        approval_wait: Duration::from_secs(arguments.wait),
        again: arguments.again,
    };
    match runtime.block_on(identity::enrol(enrolment)) {
        Ok(identity) => {
            eprintln!("this host is agent {} of {}", identity.note.id, identity.note.manager);
            let unit = instance::unit_of(instance.as_ref());
            if Path::new(UNIT).exists() {
                match instance {
                    // The package enables the first agent alone.
                    Some(_) => eprintln!("it goes to work with: systemctl enable --now {unit}"),
                    None => eprintln!("it goes to work with: systemctl restart conductor-agent"),
                }
            }
            Exit::Done
        }
        Err(error) => {
            eprintln!("conductor-agent: {}", report(&error));
            Exit::Code(error.exit_code())
        }
    }
}
