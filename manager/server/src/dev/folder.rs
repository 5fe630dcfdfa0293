//! The stack's folder.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::DevError;

/// Others may pass through but not look: the broker runs as a user of its own, in a folder of its own inside.
const FOLDER_MODE: u32 = 0o711;

/// Where everything of one stack lies. Locked as long as it lives, and removed with it when it is a temporary one.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    logs: PathBuf,
    _lock: File,
    _temporary: Option<TempDir>,
}

impl Folder {
    /// Makes the folder and takes its lock.
    pub(super) fn open(dir: Option<&Path>, logs: Option<&Path>) -> Result<Self, DevError> {
        let (dir, temporary) = match dir {
            Some(dir) => (std::path::absolute(dir).map_err(DevError::prepare(dir))?, None),
            None => {
                let made = TempDir::with_prefix("conductor-dev-").map_err(DevError::prepare(std::env::temp_dir()))?;
                fs::set_permissions(made.path(), PermissionsExt::from_mode(FOLDER_MODE))
                    .map_err(DevError::prepare(made.path()))?;
                (made.path().to_owned(), Some(made))
            }
        };
        let logs = match logs {
            Some(logs) => std::path::absolute(logs).map_err(DevError::prepare(logs))?,
            None => dir.join("log"),
        };
        for path in [&dir, &logs] {
            DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(path).map_err(DevError::prepare(path))?;
        }
        let lock_file = dir.join("dev.lock");
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(&lock_file);
        let lock = lock.map_err(DevError::prepare(&lock_file))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir, logs, _lock: lock, _temporary: temporary }),
            Err(TryLockError::WouldBlock) => Err(DevError::Occupied { path: dir }),
            Err(TryLockError::Error(source)) => Err(DevError::Prepare { path: lock_file, source }),
        }
    }

    /// The folder of one part, which the part makes.
    pub(super) fn part(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Where logs are written.
    pub(super) fn logs(&self) -> &Path {
        &self.logs
    }

    /// Opens the log of one part, to write at its end.
    pub(super) fn log(&self, name: &str) -> Result<File, DevError> {
        let path = self.log_path(name);
        OpenOptions::new().create(true).append(true).mode(0o640).open(&path).map_err(DevError::prepare(&path))
    }

    /// The log of one part.
    pub(super) fn log_path(&self, name: &str) -> PathBuf {
        self.logs.join(format!("{name}.log"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_room_for_one_stack() {
        let outer = TempDir::new().unwrap();
        let dir = outer.path().join("stack");
        let first = Folder::open(Some(&dir), None).unwrap();
        assert!(matches!(Folder::open(Some(&dir), None), Err(DevError::Occupied { .. })));
        drop(first);
        Folder::open(Some(&dir), None).unwrap();
    }

    #[test]
    fn a_temporary_folder_goes_with_its_stack() {
        let folder = Folder::open(None, None).unwrap();
        let dir = folder.part("");
        assert!(dir.is_dir());
        drop(folder);
        assert!(!dir.exists());
    }
}
