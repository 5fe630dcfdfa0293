//! Putting files in place: whole or not at all, and only where something differs.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, User, chown};
use thiserror::Error;

/// Why a file is not as it should be.
#[derive(Debug, Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The accounts of this host cannot be read.
    #[error("cannot look up the account `{name}`")]
    Account {
        /// Which.
        name: String,
        /// Why.
        #[source]
        source: nix::Error,
    },
}

/// User and group of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub uid: Uid,
    /// The group.
    pub gid: Gid,
}

impl Owner {
    /// The account `name` and its first group; `None` where there is none.
    ///
    /// # Errors
    /// When the accounts cannot be read.
    pub fn of(name: &str) -> Result<Option<Self>, FileError> {
        let user = User::from_name(name).map_err(|source| FileError::Account { name: name.to_owned(), source })?;
        Ok(user.map(|user| Self { uid: user.uid, gid: user.gid }))
    }

    /// Root's, but readable for this group: a service must not write its own settings.
    pub fn roots(self) -> Self {
        Self { uid: Uid::from_raw(0), gid: self.gid }
    }
}

/// Makes `path` hold `text`, with this mode and owner. Whether anything had to change; what did is told in `changes`.
pub(super) fn put(path: &Path, text: &str, mode: u32, owner: Owner, changes: &mut Vec<String>) -> Result<bool, FileError> {
    let read = match fs::read_to_string(path) {
        Ok(old) => Some(old),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => return Err(FileError::Read { path: path.to_owned(), source }),
    };
    if read.as_deref() == Some(text) && is_so(path, mode, owner) {
        return Ok(false);
    }
    let failed = |source| FileError::Write { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or_else(|| Path::new("/"));
    fs::create_dir_all(folder).map_err(failed)?;
    // Beside it under another name, with its rights from the first byte on, then over it at once.
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = folder.join(name);
    let _ = fs::remove_file(&beside);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    chown(&beside, Some(owner.uid), Some(owner.gid)).map_err(|error| failed(error.into()))?;
    file.set_permissions(fs::Permissions::from_mode(mode)).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)?;
    changes.push(format!("{} {}", if read.is_some() { "changed" } else { "made" }, path.display()));
    Ok(true)
}

/// Makes `path` a folder with this mode and owner.
pub(super) fn folder(path: &Path, mode: u32, owner: Owner, changes: &mut Vec<String>) -> Result<(), FileError> {
    let failed = |source| FileError::Write { path: path.to_owned(), source };
    let was_there = path.is_dir();
    if was_there && is_so(path, mode, owner) {
        return Ok(());
    }
    fs::create_dir_all(path).map_err(failed)?;
    chown(path, Some(owner.uid), Some(owner.gid)).map_err(|error| failed(error.into()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)?;
    changes.push(format!("{} the folder {}", if was_there { "set the rights of" } else { "made" }, path.display()));
    Ok(())
}

/// Gives a folder and the files in it to somebody. Links in it are left alone.
pub(super) fn give(folder: &Path, owner: Owner) -> Result<(), FileError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| FileError::Write { path, source }
    };
    let give = |path: &Path| lchown(path, Some(owner.uid.as_raw()), Some(owner.gid.as_raw())).map_err(failed(path));
    give(folder)?;
    for entry in fs::read_dir(folder).map_err(failed(folder))? {
        give(&entry.map_err(failed(folder))?.path())?;
    }
    Ok(())
}

fn is_so(path: &Path, mode: u32, owner: Owner) -> bool {
    fs::metadata(path).is_ok_and(|metadata| {
        metadata.mode() & 0o7777 == mode && metadata.uid() == owner.uid.as_raw() && metadata.gid() == owner.gid.as_raw()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Owner {
        Owner { uid: nix::unistd::geteuid(), gid: nix::unistd::getegid() }
    }

    #[test]
    fn a_file_is_put_once_and_mended_when_it_differs() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("etc/some.conf");
        let mut changes = Vec::new();
        assert!(put(&path, "a = 1\n", 0o640, me(), &mut changes).unwrap());
        assert!(!put(&path, "a = 1\n", 0o640, me(), &mut changes).unwrap());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(put(&path, "a = 1\n", 0o640, me(), &mut changes).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(changes, [format!("made {}", path.display()), format!("changed {}", path.display())]);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
    }
}
