//! `packaging/NAME.toml`: what a package is made of, said once for all formats.

use std::fs;

use serde::Deserialize;

use crate::cargo::root;

/// One package.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// One line.
    pub summary: String,
    /// Some lines.
    pub description: String,
    /// What must be there.
    pub depends: Vec<String>,
    /// What had better be there.
    pub recommends: Vec<String>,
    /// What is in it.
    pub files: Vec<File>,
}

/// One file of a package.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where it is: in the repository, or under `stage/` what was built.
    pub from: String,
    /// Where it goes, without the leading `/`.
    pub to: String,
    /// Its mode.
    #[serde(default = "ordinary")]
    pub mode: u32,
    /// Whether it is a setting of the host, kept when changed there.
    #[serde(default)]
    pub conffile: bool,
}

fn ordinary() -> u32 {
    0o644
}

impl Description {
    /// Reads one.
    pub fn read(name: &str) -> Result<Self, String> {
        let path = root().join("packaging").join(format!("{name}.toml"));
        let text = fs::read_to_string(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        toml::from_str(&text).map_err(|error| format!("{} is wrong: {error}", path.display()))
    }
}
