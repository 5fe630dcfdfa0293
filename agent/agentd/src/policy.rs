//! The host's policy as it lies in its file.

use std::cell::RefCell;
use std::io::{self, Read};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::SystemTime;

use conductor_agent_core::policy::{Ask, PATTERNS_MAX, Policy};
use figment::Figment;
use figment::providers::{Format, Toml};

/// Where the policy is read from unless another file is named.
pub const DEFAULT_FILE: &str = "/etc/conductor/agent-policy.toml";
/// Largest file in bytes.
const BYTES_MAX: u64 = 1024 * 1024;

/// What a file was like when it was read.
type Stamp = Option<(SystemTime, u64)>;
/// The policy, or why there is none to go by.
type Understood = Result<Rc<Policy>, String>;

/// The policy in a file. It is read again whenever the file has changed; no file allows everything, and one that cannot be
/// read or understood allows nothing.
#[derive(Debug)]
pub struct PolicyFile {
    path: PathBuf,
    read: RefCell<Option<(Stamp, Understood)>>,
}

impl PolicyFile {
    /// The policy in a file, which is not read yet.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, read: RefCell::default() }
    }

    /// Whether the host lets it be.
    ///
    /// # Errors
    /// Why not, for people.
    pub fn check(&self, ask: Ask<'_>) -> Result<(), String> {
        let policy = self.policy()?;
        policy.check(ask).map_err(|veto| veto.to_string())
    }

    /// The policy as the file has it now.
    ///
    /// # Errors
    /// Why the file is not understood, for people.
    pub fn policy(&self) -> Understood {
        let stamp = match std::fs::metadata(&self.path) {
            Ok(about) => about.modified().ok().map(|at| (at, about.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(self.fault(&error.to_string())),
        };
        if let Some((seen, policy)) = &*self.read.borrow()
            && *seen == stamp
        {
            return policy.clone();
        }
        let policy = match stamp {
            None => Ok(Rc::default()),
            Some(_) => self.load().map(Rc::new),
        };
        if let Err(reason) = &policy {
            tracing::error!("{reason}");
        }
        *self.read.borrow_mut() = Some((stamp, policy.clone()));
        policy
    }

    fn load(&self) -> Result<Policy, String> {
        let mut text = String::new();
        let opened = std::fs::File::open(&self.path).map_err(|error| self.fault(&error.to_string()))?;
        opened.take(BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| self.fault(&error.to_string()))?;
        if text.len() as u64 > BYTES_MAX {
            return Err(self.fault(&format!("it has more than {BYTES_MAX} bytes")));
        }
        let policy: Policy = Figment::from(Toml::string(&text)).extract().map_err(|error| self.fault(&error.to_string()))?;
        if policy.is_within_limits() {
            Ok(policy)
        } else {
            Err(self.fault(&format!("a list has more than {PATTERNS_MAX} patterns")))
        }
    }

    fn fault(&self, why: &str) -> String {
        format!("this host's policy {} cannot be used, so nothing is allowed until it is mended: {why}", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_counts_from_the_moment_it_is_written_and_a_broken_one_forbids_everything() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent-policy.toml");
        let policy = PolicyFile::new(path.clone());
        let ask = Ask::Run { plugin: "site", version: "1", operation: "start", user: "deploy" };
        assert_eq!(policy.check(ask), Ok(()), "no file allows everything");
        std::fs::write(&path, "[deny]\noperations = ['site.start']\n").unwrap();
        assert_eq!(
            policy.check(ask).unwrap_err(),
            "this host's policy forbids operation site.start (deny.operations: site.start)"
        );
        std::fs::write(&path, "[deny]\noperation = []\n").unwrap();
        let why = policy.check(ask).unwrap_err();
        assert!(why.contains("nothing is allowed until it is mended") && why.contains("operation"), "{why}");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(policy.check(ask), Ok(()));
    }
}
