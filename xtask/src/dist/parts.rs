//! What goes into packages beside the programs: manual pages, completions, and the agent's packages in the manager's.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};

use super::programs::{Effort, run_cargo};
use crate::cargo::cargo;

/// Writes manual pages, compressed, and shell completions into `stage`, from the programs' own command lines.
pub fn manuals(effort: Effort, stage: &Path) -> Result<(), String> {
    let (profile, _) = effort.profile();
    let run = ["run", "--quiet", "--locked", "--profile", profile, "--package", "conductor-manuals", "--"];
    run_cargo(cargo().args(run).arg(stage))?;
    let man = stage.join("man");
    let failed = |error| format!("{} cannot be read: {error}", man.display());
    for entry in fs::read_dir(&man).map_err(failed)? {
        let page = entry.map_err(failed)?.path();
        let text = fs::read(&page).map_err(failed)?;
        compress(&text, &page.with_added_extension("gz"))?;
    }
    Ok(())
}

/// Compresses `text` into `path`; the same text always gives the same file.
pub fn compress(text: &[u8], path: &Path) -> Result<(), String> {
    let mut writer = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    let compressed = writer.write_all(text).and_then(|()| writer.finish());
    compressed
        .and_then(|bytes| fs::write(path, bytes))
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

/// Copies the agent's packages under names without a version: the manager serves them to hosts that join.
pub fn for_hosts_that_join(packages: &[PathBuf], folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{} cannot be made: {error}", folder.display()))?;
    for package in packages {
        let name = package.file_name().unwrap_or_default().to_string_lossy();
        let ending = [".deb", ".rpm", ".tar.gz"].into_iter().find(|ending| name.ends_with(ending));
        let ending = ending.ok_or_else(|| format!("{name} is no package"))?;
        fs::copy(package, folder.join(format!("conductor-agent{ending}")))
            .map_err(|error| format!("{} cannot be copied: {error}", package.display()))?;
    }
    Ok(())
}
