//! What can be wrong with settings, each naming the place and the key.

use std::path::PathBuf;

use thiserror::Error;

/// Why settings could not be loaded.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// The file that was asked for is not there or cannot be read.
    #[error("cannot read the settings file {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is not TOML.
    #[error("{} is not valid TOML", path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A key that does not exist.
    #[error("{origin}: unknown key `{key}`; {expected}")]
    UnknownKey {
        /// The file, environment variable or flag.
        origin: String,
        /// The key with its sections.
        key: String,
        /// The keys there are, in words.
        expected: String,
    },
    /// A value of a wrong type or outside its range.
    #[error("{origin}: key `{key}`: {message}")]
    WrongValue {
        /// The file, environment variable or flag.
        origin: String,
        /// The key with its sections.
        key: String,
        /// What was found and what is expected.
        message: String,
    },
    /// Two or more things are wrong.
    #[error("{} things are wrong with the settings:{}", .0.len(), list(.0))]
    Several(Vec<SettingsError>),
    /// The built-in defaults cannot be written as settings: a fault of the program.
    #[error("the built-in defaults are not settings: {message}")]
    Defaults {
        /// Why.
        message: String,
    },
}

impl SettingsError {
    /// One error of one or more. `None` when there are none.
    pub(crate) fn from_list(mut errors: Vec<Self>) -> Option<Self> {
        match errors.len() {
            0 | 1 => errors.pop(),
            _ => Some(Self::Several(errors)),
        }
    }
}

fn list(errors: &[SettingsError]) -> String {
    errors.iter().map(|error| format!("\n  - {}", crate::report(error))).collect()
}
