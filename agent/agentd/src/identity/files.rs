//! Files of the identity, readable by their owner alone.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, lchown};
use std::path::Path;

use nix::unistd::geteuid;

use super::IdentityError;

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> IdentityError {
    let path = path.to_owned();
    move |source| IdentityError::File { action, path, source }
}

/// Makes the folder. It is the agent's, whose the folder around it is, also when root lets the host join.
pub(super) fn make_dir(dir: &Path) -> Result<(), IdentityError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed("make", dir))?;
    give_to_owner_of_folder(dir, dir).map_err(failed("give away", dir))
}

/// Root gives what it made to the owner of the folder around it; everybody else is the owner.
fn give_to_owner_of_folder(made: &Path, path: &Path) -> std::io::Result<()> {
    if !geteuid().is_root() {
        return Ok(());
    }
    let folder = fs::metadata(path.parent().unwrap_or_else(|| Path::new(".")))?;
    lchown(made, Some(folder.uid()), Some(folder.gid()))
}

/// A file's text; `None` when it is not there.
pub(super) fn read(path: &Path) -> Result<Option<String>, IdentityError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Writes a file so that it is whole or absent, with its rights from the beginning.
pub(super) fn write(path: &Path, text: &str) -> Result<(), IdentityError> {
    let new = path.with_added_extension("new");
    let write = || {
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        give_to_owner_of_folder(&new, path)?;
        fs::rename(&new, path)?;
        fs::File::open(path.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()
    };
    write().map_err(failed("write", path))
}

/// Removes a file; one that is not there is as good as removed.
pub(super) fn remove(path: &Path) -> Result<(), IdentityError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_root_makes_belongs_to_the_agent() {
        const SOMEBODY: u32 = 54_321;
        let folder = tempfile::TempDir::new().unwrap();
        let dir = folder.path().join("identity");
        let path = dir.join("agent.key");
        if geteuid().is_root() {
            lchown(folder.path(), Some(SOMEBODY), Some(SOMEBODY)).unwrap();
        }
        make_dir(&dir).unwrap();
        write(&path, "key").unwrap();
        let owner = if geteuid().is_root() { SOMEBODY } else { geteuid().as_raw() };
        for made in [&dir, &path] {
            let metadata = fs::metadata(made).unwrap();
            assert_eq!((metadata.uid(), metadata.permissions().mode() & 0o077), (owner, 0), "{}", made.display());
        }
    }
}
