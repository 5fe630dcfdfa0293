//! The two programs that write packages, installed with cargo where they are missing.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::programs::{Effort, run_cargo};
use crate::cargo::{cargo, root};

/// Versions that are known to work; another one on the PATH will do.
const CARGO_DEB: (&str, &str) = ("cargo-deb", "3.8.0");
const CARGO_GENERATE_RPM: (&str, &str) = ("cargo-generate-rpm", "0.21.1");

/// Where they are.
#[derive(Debug)]
pub struct Tools {
    /// `cargo-deb`.
    pub deb: PathBuf,
    /// `cargo-generate-rpm`.
    pub rpm: PathBuf,
}

/// Finds or installs them: for a quick packing as they are soonest built, which compresses slowly.
pub fn ready(effort: Effort) -> Result<Tools, String> {
    Ok(Tools { deb: ready_one(CARGO_DEB, effort)?, rpm: ready_one(CARGO_GENERATE_RPM, effort)? })
}

fn ready_one((name, version): (&str, &str), effort: Effort) -> Result<PathBuf, String> {
    let on_path = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if on_path.is_ok() {
        return Ok(PathBuf::from(name));
    }
    // Not under target/, which `cargo clean` empties and which would have it built again and again.
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| std::env::home_dir().map(|home| home.join(".cache"))).unwrap_or_else(|| root().join("target"));
    let tools = cache.join("conductor").join("tools");
    let program = tools.join("bin").join(name);
    if program.exists() {
        return Ok(program);
    }
    let (tools, profile) = match effort {
        Effort::Full => (tools, "release"),
        Effort::Quick => (tools.join("quick"), "dev"),
    };
    let program = tools.join("bin").join(name);
    if !program.exists() {
        println!("{name} is not installed; building it once, in {}", tools.display());
        // One of them forbids the other's lock file nothing, so that each is built as its authors tested it.
        run_cargo(
            cargo().args(["install", "--locked", "--profile", profile, "--version", version, "--root"]).arg(&tools).arg(name),
        )?;
    }
    Ok(program)
}
