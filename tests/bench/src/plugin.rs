//! The no-op plugin in both modes, packed when it is needed.

use std::fs;
use std::path::Path;

use crate::error::BenchError;

/// Name of the plugin that is one process per task.
pub const ONE_SHOT: &str = "bench-noop";
/// Name of the plugin that is one process for many tasks.
pub const PERSISTENT: &str = "bench-persist";

/// Media type of the archives.
pub const MEDIA_TYPE: &str = "application/gzip";

const ONE_SHOT_MANIFEST: &str = "
name: bench-noop
version: 1.0.0
description: Does nothing, in a process per task.
entrypoint: conductor-noop
operations:
  noop: {description: Ends at once., idempotent: true}
  stamp: {description: Says when it began., idempotent: true}
  flood-15: {description: Prints less than the log of a task may hold., idempotent: true}
  flood-256: {description: Prints far more., idempotent: true}
";

const PERSISTENT_MANIFEST: &str = "
name: bench-persist
version: 1.0.0
description: Does nothing, in one process for many tasks.
mode: persistent
entrypoint: conductor-noop
operations:
  noop: {description: Answers at once., idempotent: true}
";

/// Packs both plugins around the program `noop`, below `dir`.
///
/// # Errors
/// When the files cannot be copied or packed.
pub fn pack_all(noop: &Path, dir: &Path) -> Result<Vec<Vec<u8>>, BenchError> {
    [(ONE_SHOT, ONE_SHOT_MANIFEST), (PERSISTENT, PERSISTENT_MANIFEST)]
        .into_iter()
        .map(|(name, manifest)| pack(noop, &dir.join(name), manifest))
        .collect()
}

fn pack(noop: &Path, dir: &Path, manifest: &str) -> Result<Vec<u8>, BenchError> {
    let failed = || BenchError::io(format!("make the plugin in {}", dir.display()));
    fs::create_dir_all(dir).map_err(failed())?;
    fs::write(dir.join(conductor_plugin::MANIFEST_FILE), manifest).map_err(failed())?;
    fs::copy(noop, dir.join("conductor-noop")).map_err(failed())?;
    let mut archive = Vec::new();
    conductor_plugin::pack_dir(dir, &mut archive)?;
    Ok(archive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_manifests_are_right() {
        for (name, manifest) in [(ONE_SHOT, ONE_SHOT_MANIFEST), (PERSISTENT, PERSISTENT_MANIFEST)] {
            let manifest = conductor_plugin::Manifest::parse(manifest.as_bytes()).unwrap();
            assert_eq!(manifest.name.as_str(), name);
        }
    }
}
