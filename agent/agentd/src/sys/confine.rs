//! Limits that a process takes upon itself before it becomes a task's program: `conductor-agent confine` is started in the
//! program's place. What is set from outside, after the start, may come after the program's first child.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

/// What the newest kernel that was looked at can limit; an older one limits what it knows.
const NEWEST: ABI = ABI::V5;
/// Without what a kernel could limit first, a policy's paths are not kept to.
const OLDEST: ABI = ABI::V1;
/// Devices without which few programs work.
const DEVICES: [&str; 4] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/tty"];
const RANDOM: [&str; 2] = ["/dev/random", "/dev/urandom"];

/// What a process is held to. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Folder of the control group that it enters.
    pub cgroup: Option<PathBuf>,
    /// Bytes of memory that it may have addresses for.
    pub address_space_bytes: Option<u64>,
    /// What it reaches of the host's files.
    pub reach: Option<Reach>,
}

/// Which of the host's files a process may use. A list that is absent means all of them, as far as the user's rights go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// What may be read and run.
    pub read: Option<Vec<PathBuf>>,
    /// What may be read, run and changed.
    pub write: Option<Vec<PathBuf>>,
}

/// Why a process cannot be held to its limits.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// The control group takes nobody in.
    #[error("cannot enter the control group {}", path.display())]
    Cgroup {
        /// Its folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The limit of memory is not taken.
    #[error("cannot limit its memory to {bytes} bytes")]
    Memory {
        /// The limit.
        bytes: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The limits of paths are not taken.
    #[error("cannot limit the paths that it reaches")]
    Paths {
        /// Why.
        #[source]
        source: landlock::RulesetError,
    },
    /// The kernel knows nothing of such limits.
    #[error("this host's kernel cannot limit the paths that a process reaches")]
    NoLandlock,
    /// The program cannot be started.
    #[error("cannot start {}", program.display())]
    Program {
        /// Which.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Whether this host's kernel can limit the paths that a process reaches.
#[must_use]
pub fn can_limit_paths() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(OLDEST))
            .and_then(Ruleset::create)
            .is_ok()
    })
}

impl Confinement {
    /// Whether there is nothing to hold to.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Takes the limits upon this process and becomes `program`. Returns only when that fails.
    #[must_use]
    pub fn become_program(&self, program: &Path, args: &[std::ffi::OsString]) -> ConfineError {
        match self.take_on() {
            Ok(()) => {
                let source = Command::new(program).args(args).exec();
                ConfineError::Program { program: program.to_owned(), source }
            }
            Err(error) => error,
        }
    }

    fn take_on(&self) -> Result<(), ConfineError> {
        if let Some(path) = &self.cgroup {
            let entered = fs::write(path.join("cgroup.procs"), std::process::id().to_string());
            entered.map_err(|source| ConfineError::Cgroup { path: path.clone(), source })?;
        }
        if let Some(bytes) = self.address_space_bytes {
            let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
            setrlimit(Resource::As, limit).map_err(|error| ConfineError::Memory { bytes, source: error.into() })?;
        }
        self.reach.as_ref().map_or(Ok(()), Reach::take_on)
    }
}

impl Reach {
    fn take_on(&self) -> Result<(), ConfineError> {
        let failed = |source| ConfineError::Paths { source };
        let everything = [PathBuf::from("/")];
        let read = self.read.as_deref().unwrap_or(&everything);
        let write = self.write.as_deref().unwrap_or(&everything);
        let status = Ruleset::default()
            .handle_access(AccessFs::from_all(NEWEST))
            .map_err(failed)?
            .create()
            .map_err(failed)?
            .add_rules(path_beneath_rules(read, AccessFs::from_read(NEWEST)))
            .map_err(failed)?
            .add_rules(path_beneath_rules(write, self.of_written()))
            .map_err(failed)?
            .add_rules(path_beneath_rules(DEVICES, AccessFs::from_all(NEWEST)))
            .map_err(failed)?
            .add_rules(path_beneath_rules(RANDOM, AccessFs::from_read(NEWEST)))
            .map_err(failed)?
            .restrict_self()
            .map_err(failed)?;
        if status.ruleset == RulesetStatus::NotEnforced { Err(ConfineError::NoLandlock) } else { Ok(()) }
    }

    /// Whoever may write everywhere may not therefore read everywhere.
    fn of_written(&self) -> landlock::BitFlags<AccessFs> {
        if self.write.is_some() { AccessFs::from_all(NEWEST) } else { AccessFs::from_write(NEWEST) }
    }
}
