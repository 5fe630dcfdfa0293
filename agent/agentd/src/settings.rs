//! The agent's settings: defaults → file → environment → flags.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use conductor_boot::LogSettings;
use serde::{Deserialize, Serialize};

use crate::cmd::own_name;
use crate::facts::folder;
use crate::policy;

/// Where settings are read from unless another file is named.
pub const DEFAULT_FILE: &str = "/etc/conductor/agent.toml";

/// Longest wait for tasks of a stopping agent, whatever is set: a moment beyond it could not be told.
const DRAIN_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The agent's id, unique in the installation. Empty = the host's name.
    pub id: String,
    /// The manager's address, as in `https://conductor.example:53333`. Empty = the one that the host was enrolled with.
    pub manager: String,
    /// What the agent shows to be let in.
    pub token: String,
    /// Where the agent keeps everything.
    pub data_dir: PathBuf,
    /// How many tasks run at once. 0 = one per processor, but at least two.
    pub slots: u32,
    /// What operators say of this host.
    pub labels: BTreeMap<String, String>,
    /// Facts that the host's owner adds: `NAME.json`, `NAME.toml`, and programs that print JSON.
    pub facts_dir: PathBuf,
    /// What this host lets run, whatever the manager says. No file allows everything.
    pub policy_file: PathBuf,
    /// How long a stopping agent waits for tasks that run, in seconds.
    pub drain_seconds: u64,
    /// With less free space for its data, in MiB, the agent takes no new tasks. 0 = it does not look.
    pub free_disk_mib: u64,
    /// The process that runs tasks.
    pub runner: RunnerSettings,
    /// Logs.
    pub log: LogSettings,
}

/// The process that runs tasks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunnerSettings {
    /// The user that tasks run as, whose runner is a service of this host: `conductor-runner@USER`. Empty = the agent's own.
    pub user: String,
    /// Where it listens. Empty = where the service of `user` does; with neither, the agent starts a runner of its own, which
    /// ends with it.
    pub socket: String,
}

impl RunnerSettings {
    /// The user that tasks run as.
    #[must_use]
    pub fn effective_user(&self) -> String {
        if self.user.is_empty() { own_name() } else { self.user.clone() }
    }

    /// Where the runner listens; `None` where the agent starts its own.
    #[must_use]
    pub fn effective_socket(&self) -> Option<PathBuf> {
        match (self.socket.as_str(), self.user.as_str()) {
            ("", "") => None,
            ("", user) => Some(service_socket(user)),
            (socket, _) => Some(PathBuf::from(socket)),
        }
    }
}

/// Where the runner of a user listens that is a service.
#[must_use]
pub fn service_socket(user: &str) -> PathBuf {
    Path::new("/run/conductor-runner").join(format!("{user}.sock"))
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            id: String::new(),
            manager: String::new(),
            token: String::new(),
            data_dir: PathBuf::from("/var/lib/conductor-agent"),
            slots: 0,
            labels: BTreeMap::new(),
            facts_dir: PathBuf::from(folder::DEFAULT),
            policy_file: PathBuf::from(policy::DEFAULT_FILE),
            drain_seconds: 30,
            free_disk_mib: 64,
            runner: RunnerSettings::default(),
            log: LogSettings::default(),
        }
    }
}

impl Settings {
    /// Slots, with 0 worked out.
    #[must_use]
    pub fn effective_slots(&self) -> u32 {
        if self.slots > 0 {
            return self.slots;
        }
        let processors = std::thread::available_parallelism().map_or(2, |count| u32::try_from(count.get()).unwrap_or(2));
        processors.max(2)
    }

    /// How long a stopping agent waits for tasks that run.
    #[must_use]
    pub fn drain_limit(&self) -> Duration {
        Duration::from_secs(self.drain_seconds).min(DRAIN_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_beyond_all_measure_still_ends_at_a_moment_that_can_be_told() {
        let settings = Settings { drain_seconds: u64::MAX, ..Settings::default() };
        assert!(tokio::time::Instant::now().checked_add(settings.drain_limit()).is_some());
        let settings = Settings { drain_seconds: 30, ..Settings::default() };
        assert_eq!(settings.drain_limit(), Duration::from_secs(30));
    }
}
