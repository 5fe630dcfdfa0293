//! Asking cargo.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

/// The workspace's root.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The cargo that runs this.
pub fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.current_dir(root());
    command
}

/// What cargo answers on standard output.
pub fn ask(arguments: &[&str]) -> Result<String, String> {
    let output = cargo().args(arguments).arg("--locked").stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("cargo {} failed", arguments.join(" ")));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("cargo {} answers rubbish: {error}", arguments.join(" ")))
}

/// Where cargo builds.
pub fn target_directory() -> Result<PathBuf, String> {
    let json = ask(&["metadata", "--format-version", "1", "--no-deps"])?;
    let json: Value = serde_json::from_str(&json).map_err(|error| format!("cargo metadata is not JSON: {error}"))?;
    json["target_directory"].as_str().map(PathBuf::from).ok_or_else(|| "cargo metadata names no target directory".to_owned())
}

/// A crate that another one is built from.
#[derive(Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Its name.
    pub name: String,
    /// The features that it is built with.
    pub features: Vec<String>,
    /// The crates on the way to it, itself included.
    pub way: Vec<String>,
}

/// Everything that a crate is built from when it is built alone: in the whole workspace, features that other crates ask for
/// would show too. What only its tests and build scripts need is left out.
pub fn dependencies(name: &str) -> Result<Vec<Dependency>, String> {
    ask(&["tree", "--edges", "normal", "--package", name, "--prefix", "depth", "--format", " {p}|{f}"]).map(|text| parse(&text))
}

/// Lines are `DEPTH NAME vVERSION …|FEATURE,FEATURE`.
fn parse(text: &str) -> Vec<Dependency> {
    let mut way: Vec<String> = Vec::new();
    let line = |line: &str| {
        let (depth, rest) = line.split_once(' ')?;
        let (package, features) = rest.rsplit_once('|')?;
        let name = package.split_whitespace().next()?.to_owned();
        way.truncate(depth.parse().ok()?);
        way.push(name.clone());
        let features = features.trim_end_matches(" (*)").split(',').filter(|feature| !feature.is_empty());
        Some(Dependency { name, features: features.map(str::to_owned).collect(), way: way.clone() })
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read_with_the_ways_through_it() {
        let text = "0 model v0.1.0 (/src)|\n1 serde v1.0.0|derive,std\n2 core v1.0.0|std (*)\n1 uuid v1.2.3|std\n";
        let ways: Vec<String> = parse(text).iter().map(|found| found.way.join(">")).collect();
        assert_eq!(ways, ["model", "model>serde", "model>serde>core", "model>uuid"]);
        assert_eq!(parse(text)[2].features, ["std"]);
        assert_eq!(parse(text)[0].features, [""; 0]);
    }
}
