//! What is shipped: programs, and packages of them for Debian's family, Red Hat's family and any other Linux.

mod description;
mod manifest;
mod parts;
mod programs;
mod sbom;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::cargo::{root, target_directory};
use description::Description;
use programs::{Effort, Libc};

/// In this order: the manager's package holds the agent's.
const PACKAGES: &[&str] = &["conductor-agent", "conductor-cli", "conductor-manager"];

/// Flags of `dist`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The C library inside the agent [default: musl where its target is installed, else gnu]
    #[arg(long, value_enum)]
    libc: Option<Libc>,
    /// Build the agent's program only, no packages
    #[arg(long)]
    agent_only: bool,
    /// Hardly optimise: packages for tests, soon built
    #[arg(long)]
    quick: bool,
    /// The packages' revision: the N of 1.2.3-N
    #[arg(long, value_name = "N", default_value_t = 1)]
    revision: u32,
    /// Where to put everything [default: dist/]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Builds, packs, checks and shows sizes.
pub fn run(arguments: &Arguments) -> Result<(), String> {
    let libc = arguments.libc.unwrap_or_else(Libc::best);
    let effort = if arguments.quick { Effort::Quick } else { Effort::Full };
    let dist = arguments.out.clone().unwrap_or_else(|| root().join("dist"));
    // The packers work in folders of their own.
    let dist = std::path::absolute(&dist).map_err(|error| format!("{} is no folder: {error}", dist.display()))?;
    make_folder(&dist)?;
    if arguments.agent_only {
        return programs::agent(libc, effort, arguments.revision, &dist).map(drop);
    }

    let stage = target_directory()?.join("stage");
    let _ = fs::remove_dir_all(&stage);
    let bin = stage.join("bin");
    make_folder(&bin)?;
    programs::agent(libc, effort, arguments.revision, &bin)?;
    programs::others(effort, &bin)?;
    parts::manuals(effort, &stage)?;
    let tools = tools::ready(effort)?;
    let mut made = Vec::new();
    for name in PACKAGES {
        let description = Description::read(name)?;
        sbom::write(name, &stage.join("sbom"))?;
        let packages = manifest::pack(&description, arguments.revision, effort, &stage, &dist, &tools)?;
        if *name == "conductor-agent" {
            parts::for_hosts_that_join(&packages, &stage.join("agents"))?;
        }
        made.extend(packages);
    }
    write_sums(&made, &dist)?;
    for package in &made {
        let bytes = fs::metadata(package).map_err(|error| format!("{} cannot be read: {error}", package.display()))?.len();
        println!("{:>8.2} MB  {}", programs::megabytes(bytes), package.display());
    }
    Ok(())
}

fn make_folder(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{} cannot be made: {error}", folder.display()))
}

/// In the form that `sha256sum --check` reads.
fn write_sums(files: &[PathBuf], dist: &Path) -> Result<(), String> {
    let mut sums = String::new();
    for file in files {
        let bytes = fs::read(file).map_err(|error| format!("{} cannot be read: {error}", file.display()))?;
        let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        sums.push_str(&format!("{digest}  {name}\n"));
    }
    fs::write(dist.join("SHA256SUMS"), sums).map_err(|error| format!("SHA256SUMS cannot be written: {error}"))
}
