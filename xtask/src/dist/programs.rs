//! The programs: the agent in one static file that runs on any Linux, manager and command line for this distribution.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ValueEnum;

use crate::cargo::{cargo, target_directory};

/// The agent's program may be so large: 8 MB, so that it fits small hosts and travels fast.
const AGENT_BYTES_MAX: u64 = 8 * 1000 * 1000;
const MUSL: &str = "x86_64-unknown-linux-musl";
const GNU: &str = "x86_64-unknown-linux-gnu";

/// The C library inside the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Libc {
    /// The target must be installed: rustup target add x86_64-unknown-linux-musl; apt-get install musl-tools
    Musl,
    /// The distribution's own, linked statically; needs libc.a (Debian: libc6-dev)
    Gnu,
}

impl Libc {
    fn target(self) -> &'static str {
        match self {
            Self::Musl => MUSL,
            Self::Gnu => GNU,
        }
    }

    /// musl where it is ready, else the distribution's.
    pub fn best() -> Self {
        if musl_is_ready() { Self::Musl } else { Self::Gnu }
    }
}

/// How much the compiler may take its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// As shipped.
    Full,
    /// For tests of the packages: the agent with little optimisation, the rest as `make test` built it.
    Quick,
}

impl Effort {
    fn agent_profile(self) -> &'static str {
        match self {
            Self::Full => "dist-agent",
            Self::Quick => "quick",
        }
    }

    /// The profile of everything else, and the folder that cargo names after it.
    pub fn profile(self) -> (&'static str, &'static str) {
        match self {
            Self::Full => ("release", "release"),
            Self::Quick => ("dev", "debug"),
        }
    }
}

/// Builds the agent, puts it into `to`, and checks that it is what it must be.
pub fn agent(libc: Libc, effort: Effort, revision: u32, to: &Path) -> Result<PathBuf, String> {
    build_agent(libc, effort, revision)?;
    let agent = copy(&target_directory()?.join(libc.target()).join(effort.agent_profile()), to, "conductor-agent")?;
    show(&agent)?;
    check_agent(&agent, effort)?;
    Ok(agent)
}

/// Builds manager and command line and puts them into `to`.
pub fn others(effort: Effort, to: &Path) -> Result<(), String> {
    let (profile, folder) = effort.profile();
    let build = ["build", "--locked", "--profile", profile, "--bin", "conductor-manager", "--bin", "conductor"];
    run_cargo(cargo().args(build))?;
    for name in ["conductor-manager", "conductor"] {
        let program = copy(&target_directory()?.join(folder), to, name)?;
        strip(&program)?;
        show(&program)?;
    }
    Ok(())
}

fn show(program: &Path) -> Result<(), String> {
    println!("{:>8.2} MB  {:<8}  {}", megabytes(size(program)?), linkage(program)?, program.display());
    Ok(())
}

/// Neither what debuggers need nor names of functions belong into a package, says Debian's policy (10.1).
fn strip(program: &Path) -> Result<(), String> {
    let status = Command::new("strip").arg(program).status().map_err(|error| format!("strip cannot be run: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{} cannot be stripped", program.display())) }
}

/// The target directory is named on the command line so that the flag reaches the agent alone: programs that run during
/// the build cannot be static.
fn build_agent(libc: Libc, effort: Effort, revision: u32) -> Result<(), String> {
    let mut flags = env::var("RUSTFLAGS").unwrap_or_default();
    flags.push_str(" -C target-feature=+crt-static");
    let mut command = cargo();
    command.args(["build", "--locked", "--profile", effort.agent_profile(), "--package", "conductor-agent"]);
    command.args(["--target", libc.target()]);
    // What `--version` says, so that an operator sees which package a program is from.
    command.env("CONDUCTOR_REVISION", revision.to_string());
    command.env("RUSTFLAGS", flags.trim());
    if libc == Libc::Musl && env::var_os("CC_x86_64_unknown_linux_musl").is_none() {
        command.env("CC_x86_64_unknown_linux_musl", "musl-gcc");
    }
    run_cargo(&mut command)
}

fn check_agent(agent: &Path, effort: Effort) -> Result<(), String> {
    if linkage(agent)? != "static" {
        return Err(format!("{} needs a dynamic loader; it must be one static file", agent.display()));
    }
    let size = size(agent)?;
    if size > AGENT_BYTES_MAX && effort == Effort::Full {
        let (is, may) = (megabytes(size), megabytes(AGENT_BYTES_MAX));
        return Err(format!("{} has {is:.2} MB; at most {may:.2} MB are allowed", agent.display()));
    }
    let said = Command::new(agent).arg("--version").output();
    let said = said.map_err(|error| format!("{} cannot be run: {error}", agent.display()))?;
    if !said.status.success() {
        return Err(format!("{} --version failed", agent.display()));
    }
    print!("{}", String::from_utf8_lossy(&said.stdout));
    Ok(())
}

fn musl_is_ready() -> bool {
    let installed = Command::new("rustc").args(["--print", "target-libdir", "--target", MUSL]).output();
    let libdir = installed.ok().filter(|output| output.status.success());
    let libdir = libdir.map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
    let compiler = Command::new("musl-gcc").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    libdir.is_some_and(|libdir| libdir.is_dir()) && compiler.is_ok_and(|status| status.success())
}

/// Whether the program needs a dynamic loader: an ELF program with a segment of type `PT_INTERP` does.
fn linkage(program: &Path) -> Result<&'static str, String> {
    let bytes = fs::read(program).map_err(|error| format!("{} cannot be read: {error}", program.display()))?;
    let broken = || format!("{} is not a 64-bit ELF program", program.display());
    if bytes.get(..5) != Some(b"\x7fELF\x02") {
        return Err(broken());
    }
    let number = |at: usize, length: usize| -> Option<usize> {
        let field = bytes.get(at..at + length)?;
        usize::try_from(field.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))).ok()
    };
    // Offset, size and count of the table of segments; each begins with its type.
    let table = (number(32, 8), number(54, 2), number(56, 2));
    let (Some(offset), Some(entry), Some(count)) = table else { return Err(broken()) };
    const PT_INTERP: usize = 3;
    let dynamic = (0..count).any(|index| number(offset + index * entry, 4) == Some(PT_INTERP));
    Ok(if dynamic { "dynamic" } else { "static" })
}

pub fn copy(from: &Path, to: &Path, name: &str) -> Result<PathBuf, String> {
    let (from, to) = (from.join(name), to.join(name));
    // Not over a program that may be running.
    let _ = fs::remove_file(&to);
    fs::copy(&from, &to).map_err(|error| format!("{} cannot be copied: {error}", from.display()))?;
    Ok(to)
}

pub fn run_cargo(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("cargo cannot be run: {error}"))?;
    if status.success() { Ok(()) } else { Err("the build failed".to_owned()) }
}

fn size(path: &Path) -> Result<u64, String> {
    fs::metadata(path).map(|metadata| metadata.len()).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_is_a_dynamic_program_and_a_text_is_none() {
        let me = env::current_exe().unwrap();
        assert_eq!(linkage(&me).unwrap(), "dynamic");
        assert!(linkage(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))).is_err());
    }
}
