//! The environment of plugin processes: a short list of names and nothing else.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Variables of the agent that every plugin sees.
const PASSED: &[&str] = &["HOME", "LANG", "LC_ALL", "TZ", "USER", "LOGNAME"];
const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Marks a process as a part of a task.
pub const TASK_MARK: &str = "CONDUCTOR_TASK_ID";
/// Names the agent that a process belongs to.
pub const AGENT_MARK: &str = "CONDUCTOR_AGENT_ID";
/// Marks a process as a persistent plugin of one agent.
pub const PERSISTENT_MARK: &str = "CONDUCTOR_PERSISTENT_OF";
/// Marks a process as a part of one persistent worker.
pub const WORKER_MARK: &str = "CONDUCTOR_WORKER_ID";

/// What does not differ between the tasks of one agent.
#[derive(Clone, Debug)]
pub struct BaseEnvironment {
    fixed: Vec<CString>,
    /// All variables of the agent, for what a manifest asks for by name.
    own: Vec<(String, CString)>,
}

/// Makes `NAME=value`. A value with a zero byte cannot be an environment variable; it is left out.
#[must_use]
pub fn variable(name: &str, value: &[u8]) -> Option<CString> {
    let mut text = Vec::with_capacity(name.len() + value.len() + 2);
    text.extend_from_slice(name.as_bytes());
    text.push(b'=');
    text.extend_from_slice(value);
    CString::new(text).ok()
}

impl BaseEnvironment {
    /// Reads this process's environment. `bin` comes first on the path.
    #[must_use]
    pub fn of_process(agent: &str, bin: &Path, state: &Path, ctx_socket: &Path) -> Self {
        let own: Vec<_> = std::env::vars_os()
            .filter_map(|(name, value)| {
                let name = name.into_string().ok()?;
                let text = variable(&name, value.as_bytes())?;
                Some((name, text))
            })
            .collect();
        let path = std::env::var("PATH").unwrap_or_else(|_| PATH_DEFAULT.to_owned());
        let fixed = own.iter().filter(|(name, _)| PASSED.contains(&name.as_str())).map(|(_, text)| text.clone());
        let added = [
            variable("PATH", format!("{}:{path}", bin.display()).as_bytes()),
            variable(AGENT_MARK, agent.as_bytes()),
            variable("CONDUCTOR_STATE_DIR", state.as_os_str().as_bytes()),
            variable("CONDUCTOR_CTX_SOCKET", ctx_socket.as_os_str().as_bytes()),
        ];
        Self { fixed: fixed.chain(added.into_iter().flatten()).collect(), own }
    }

    /// The environment of one process.
    #[must_use]
    pub fn with(&self, asked: &[String], added: &[(&str, &[u8])]) -> Vec<CString> {
        let mut all = Vec::with_capacity(self.fixed.len() + asked.len() + added.len());
        all.extend_from_slice(&self.fixed);
        let known = |name: &str| PASSED.contains(&name) || name == "PATH" || name.starts_with("CONDUCTOR_");
        all.extend(self.own.iter().filter(|(name, _)| asked.contains(name) && !known(name)).map(|(_, text)| text.clone()));
        all.extend(added.iter().filter_map(|(name, value)| variable(name, value)));
        all
    }
}

/// Where things of one agent lie.
#[derive(Clone, Debug)]
pub struct Folders {
    /// The agent's data folder.
    pub data: PathBuf,
}

impl Folders {
    /// Working directories of tasks.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.data.join("work")
    }

    /// What belongs to the host and outlives tasks.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.data.join("state")
    }

    /// Unpacked plugins by digest.
    #[must_use]
    pub fn plugins(&self) -> PathBuf {
        self.data.join("plugins")
    }

    /// Programs for plugins: `ctx`.
    #[must_use]
    pub fn bin(&self) -> PathBuf {
        self.data.join("bin")
    }

    /// The journal.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.data.join("journal")
    }
}
