//! What a host lets run, whatever the manager says. Pure; reading the file is the agent's part.
//!
//! ```toml
//! [allow]                          # an absent list allows everything, an empty one nothing
//! plugins = ["site", "backup-*"]   # NAME or NAME@VERSION
//! operations = ["site.*", "*.status"]   # PLUGIN.OPERATION
//! users = ["conductor-agent", "deploy"]
//! environment = ["HTTP_PROXY"]     # variables of the host that plugins may ask for
//! [deny]                           # outranks what is allowed
//! operations = ["*.wipe"]
//! [paths]                          # an absent list leaves it to the rights of the user that plugins run as
//! read = ["/usr", "/lib", "/lib64", "/bin", "/etc/ssl"]
//! write = ["/srv/www"]             # what is there may be read too
//! ```
//! `*` in a pattern stands for any characters, also none; paths have no patterns and stand for all that is below them.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use thiserror::Error;

/// Longest pattern in bytes.
pub const PATTERN_BYTES_MAX: usize = 512;
/// Most patterns in one list.
pub const PATTERNS_MAX: usize = 1024;

/// A text in which `*` stands for any characters.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(String);

/// Why a text is no pattern.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum PatternError {
    /// It is empty.
    #[error("a pattern is empty; `*` stands for everything")]
    Empty,
    /// It is too long.
    #[error("a pattern has {0} bytes; at most {PATTERN_BYTES_MAX} are allowed")]
    TooLong(usize),
}

impl TryFrom<String> for Pattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, PatternError> {
        match text.len() {
            0 => Err(PatternError::Empty),
            length if length > PATTERN_BYTES_MAX => Err(PatternError::TooLong(length)),
            _ => Ok(Self(text)),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Pattern {
    /// Whether it stands for a text. Takes time in proportion to the product of both lengths at most.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut p, mut t) = (0, 0);
        // Where to go on when what follows the last `*` does not fit: one character later.
        let mut retry: Option<(usize, usize)> = None;
        while t < text.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    retry = Some((p + 1, t));
                    p += 1;
                }
                Some(byte) if *byte == text[t] => (p, t) = (p + 1, t + 1),
                _ => match retry {
                    Some((after_star, from)) => {
                        retry = Some((after_star, from + 1));
                        (p, t) = (after_star, from + 1);
                    }
                    None => return false,
                },
            }
        }
        pattern[p..].iter().all(|byte| *byte == b'*')
    }
}

/// The lists of one section.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lists {
    /// Plugins, as `NAME` or `NAME@VERSION`.
    pub plugins: Option<Vec<Pattern>>,
    /// Operations, as `PLUGIN.OPERATION`.
    pub operations: Option<Vec<Pattern>>,
    /// Users that plugins run as.
    pub users: Option<Vec<Pattern>>,
    /// Names of the host's environment variables.
    pub environment: Option<Vec<Pattern>>,
}

/// An absolute path without `..`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PathBuf")]
pub struct HostPath(PathBuf);

/// Why a path cannot stand in a policy.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum HostPathError {
    /// It is relative, or leads back.
    #[error("{} is no absolute path without `..`", .0.display())]
    NotAbsolute(PathBuf),
    /// It was meant as a pattern.
    #[error("{} has a `*`: a path stands for all that is below it, and there are no patterns", .0.display())]
    Pattern(PathBuf),
    /// It is too long.
    #[error("a path has {0} bytes; at most {PATTERN_BYTES_MAX} are allowed")]
    TooLong(usize),
}

impl TryFrom<PathBuf> for HostPath {
    type Error = HostPathError;

    fn try_from(path: PathBuf) -> Result<Self, HostPathError> {
        let bytes = path.as_os_str().as_encoded_bytes();
        if bytes.len() > PATTERN_BYTES_MAX {
            return Err(HostPathError::TooLong(bytes.len()));
        }
        if bytes.contains(&b'*') {
            return Err(HostPathError::Pattern(path));
        }
        if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
            return Err(HostPathError::NotAbsolute(path));
        }
        Ok(Self(path))
    }
}

impl AsRef<Path> for HostPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

/// What processes of plugins reach of the host's files, beside what Conductor gives each of them. An absent list leaves it to
/// the rights of their user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Paths {
    /// What may be read and run.
    pub read: Option<Vec<HostPath>>,
    /// What may be read and changed.
    pub write: Option<Vec<HostPath>>,
}

impl Paths {
    /// Whether nothing is said of paths.
    #[must_use]
    pub fn is_unlimited(&self) -> bool {
        self.read.is_none() && self.write.is_none()
    }
}

/// The host's policy. The default allows everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    allow: Lists,
    deny: Lists,
    /// What plugins reach of the host's files.
    pub paths: Paths,
}

/// What is asked of the host.
#[derive(Clone, Copy, Debug)]
pub enum Ask<'a> {
    /// Run an operation of a plugin as a user.
    Run {
        /// The plugin's name.
        plugin: &'a str,
        /// Its version.
        version: &'a str,
        /// The operation.
        operation: &'a str,
        /// Whom as.
        user: &'a str,
    },
    /// Pass an environment variable on.
    Environment(&'a str),
}

/// Why the host will not.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Veto {
    /// A pattern forbids it.
    #[error("this host's policy forbids {what} (deny.{list}: {pattern})")]
    Denied {
        /// What was asked for, in words.
        what: String,
        /// Which list.
        list: &'static str,
        /// Which pattern of it.
        pattern: String,
    },
    /// There is a list of what is allowed, and it is not on it.
    #[error("this host's policy does not allow {what}; allow.{list} names what it allows")]
    NotAllowed {
        /// What was asked for, in words.
        what: String,
        /// Which list.
        list: &'static str,
    },
}

impl Policy {
    /// Whether the host lets it be.
    ///
    /// # Errors
    /// The first list that stands against it.
    pub fn check(&self, ask: Ask<'_>) -> Result<(), Veto> {
        match ask {
            Ask::Run { plugin, version, operation, user } => {
                let with_version = format!("{plugin}@{version}");
                let is_plugin = |pattern: &Pattern| pattern.matches(plugin) || pattern.matches(&with_version);
                self.list("plugins", |lists| lists.plugins.as_deref(), is_plugin, || format!("plugin {with_version}"))?;
                let full = format!("{plugin}.{operation}");
                let what = || format!("operation {full}");
                self.list("operations", |lists| lists.operations.as_deref(), |pattern| pattern.matches(&full), what)?;
                self.list("users", |lists| lists.users.as_deref(), |pattern| pattern.matches(user), || format!("user {user}"))
            }
            Ask::Environment(name) => {
                let what = || format!("environment variable {name}");
                self.list("environment", |lists| lists.environment.as_deref(), |pattern| pattern.matches(name), what)
            }
        }
    }

    fn list<'a>(
        &'a self,
        list: &'static str,
        select: impl Fn(&'a Lists) -> Option<&'a [Pattern]>,
        matches: impl Fn(&Pattern) -> bool,
        what: impl Fn() -> String,
    ) -> Result<(), Veto> {
        if let Some(pattern) = select(&self.deny).unwrap_or_default().iter().find(|pattern| matches(pattern)) {
            return Err(Veto::Denied { what: what(), list, pattern: pattern.to_string() });
        }
        match select(&self.allow) {
            Some(allowed) if !allowed.iter().any(matches) => Err(Veto::NotAllowed { what: what(), list }),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether no list is longer than it may be.
    #[must_use]
    pub fn is_within_limits(&self) -> bool {
        [&self.allow, &self.deny].into_iter().all(|lists| {
            [&lists.plugins, &lists.operations, &lists.users, &lists.environment]
                .into_iter()
                .all(|list| list.as_ref().is_none_or(|list| list.len() <= PATTERNS_MAX))
        }) && [&self.paths.read, &self.paths.write]
            .into_iter()
            .all(|list| list.as_ref().is_none_or(|list| list.len() <= PATTERNS_MAX))
    }
}
