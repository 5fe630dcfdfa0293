//! Working directories of tasks.
//!
//! Making and removing a directory costs more than everything else that a short task needs of the disk. A directory that its
//! task left empty is therefore used again.

use std::cell::RefCell;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Most empty directories that wait for a task.
const SPARE_MAX: usize = 64;
/// Permissions of a fresh directory: what tasks of other users leave there is none of anybody's business.
const MODE: u32 = 0o700;

/// The directories of one agent.
#[derive(Debug, Default)]
pub struct WorkDirs {
    spare: RefCell<Vec<PathBuf>>,
    made: RefCell<u64>,
}

impl WorkDirs {
    /// An empty directory below `root`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn take(&self, root: &Path) -> Result<PathBuf, (PathBuf, io::Error)> {
        if let Some(spare) = self.spare.borrow_mut().pop() {
            return Ok(spare);
        }
        loop {
            let number = {
                let mut made = self.made.borrow_mut();
                *made += 1;
                *made
            };
            let dir = root.join(number.to_string());
            match std::fs::DirBuilder::new().mode(MODE).create(&dir) {
                Ok(()) => return Ok(dir),
                // Left by an earlier life and not to be removed.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err((dir, error)),
            }
        }
    }

    /// Takes a directory back after its task. With `for_good` it is removed: somebody may still be in it.
    pub async fn give_back(&self, dir: PathBuf, for_good: bool) {
        if !for_good && self.spare.borrow().len() < SPARE_MAX && is_as_new(&dir) {
            self.spare.borrow_mut().push(dir);
            return;
        }
        match std::fs::remove_dir(&dir) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => {
                // A full one can take a while.
                let path = dir.clone();
                let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(path)).await;
                if let Ok(Err(error)) = removed {
                    tracing::warn!(path = %dir.display(), %error, "a working directory cannot be removed");
                }
            }
        }
    }
}

/// Whether the task left the directory as it was given.
fn is_as_new(dir: &Path) -> bool {
    let is_empty = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none());
    is_empty && std::fs::symlink_metadata(dir).is_ok_and(|about| about.is_dir() && about.mode() & 0o7777 == MODE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story(after: impl FnOnce(&Path)) -> bool {
        let root = tempfile::tempdir().unwrap();
        let dirs = WorkDirs::default();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let first = dirs.take(root.path()).unwrap();
        after(&first);
        runtime.block_on(dirs.give_back(first.clone(), false));
        let second = dirs.take(root.path()).unwrap();
        assert!(is_as_new(&second));
        first == second
    }

    #[test]
    fn an_empty_directory_is_used_again() {
        assert!(story(|_| {}));
    }

    #[test]
    fn one_that_was_used_changed_or_removed_is_not() {
        assert!(!story(|dir| std::fs::write(dir.join("file"), "x").unwrap()));
        assert!(!story(|dir| {
            std::fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        }));
        assert!(!story(|dir| std::fs::remove_dir(dir).unwrap()));
    }
}
