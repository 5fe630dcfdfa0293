//! Files of the identity, readable by their owner alone. The folder must be one: a link in its place could have root write or
//! read elsewhere when it lets the host join.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::IdentityError;
use crate::sys::folder::{Folder, is_absent};

/// Readable by their owner alone.
const MODE: u32 = 0o600;

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> IdentityError {
    let path = path.to_owned();
    move |source| IdentityError::File { action, path, source }
}

/// Makes the folder. It is the agent's, whose the folder around it is, also when root lets the host join.
pub(super) fn make_dir(dir: &Path) -> Result<(), IdentityError> {
    let around = around(dir);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(around).map_err(failed("make", around))?;
    match fs::DirBuilder::new().mode(0o700).create(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed("make", dir)(error)),
        Ok(()) | Err(_) => {}
    }
    let made = Folder::open_unlinked(dir).map_err(failed("use", dir))?;
    let around = Folder::open(around).map_err(failed("open", around))?;
    made.belong_like(&around).map_err(failed("give away", dir))
}

fn around(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// A file's text; `None` when it is not there.
pub(super) fn read(path: &Path) -> Result<Option<String>, IdentityError> {
    match Folder::open_unlinked(around(path)) {
        Ok(folder) => folder.read(name(path)).map_err(failed("read", path)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(failed("use", around(path))(error)),
    }
}

/// Writes a file so that it is whole or absent, with its rights from the beginning.
pub(super) fn write(path: &Path, text: &str) -> Result<(), IdentityError> {
    let folder = Folder::open_unlinked(around(path)).map_err(failed("use", around(path)))?;
    folder.write(name(path), text, MODE).map_err(failed("write", path))
}

/// Removes a file; one that is not there is as good as removed.
pub(super) fn remove(path: &Path) -> Result<(), IdentityError> {
    let folder = Folder::open_unlinked(around(path)).map_err(failed("use", around(path)))?;
    folder.remove(name(path)).map(drop).map_err(failed("remove", path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};

    use nix::unistd::geteuid;

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
    #[test]
    fn a_link_in_place_of_the_folder_is_refused() {
        let (folder, elsewhere) = (tempfile::TempDir::new().unwrap(), tempfile::TempDir::new().unwrap());
        let dir = folder.path().join("identity");
        symlink(elsewhere.path(), &dir).unwrap();
        fs::write(elsewhere.path().join("identity.json"), "somebody else's").unwrap();
        let refused = [make_dir(&dir), write(&dir.join("agent.key"), "key"), read(&dir.join("identity.json")).map(drop)];
        for refused in refused {
            let error = conductor_boot::report(&refused.unwrap_err()).to_string();
            assert!(error.contains("is a link"), "{error}");
        }
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1, "nothing was written there");
    }
}
