//! Files in a folder that belongs to somebody else: root lets a host join and drains it, while the folder is the agent's, and
//! so that of every plugin that runs as its user. Nothing here follows a link that lies in such a folder.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, geteuid, unlinkat};

/// An open folder: what is done goes by it and not by its path, which may lead elsewhere a moment later.
#[derive(Debug)]
pub struct Folder(OwnedFd);

impl Folder {
    /// Opens a folder whose path is the system owner's own, links and all.
    ///
    /// # Errors
    /// When it is not there or is none.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::open_with(path, OFlag::empty())
    }

    /// Opens a folder that is no link itself.
    ///
    /// # Errors
    /// When it is not there, is none or is a link.
    pub fn open_unlinked(path: &Path) -> io::Result<Self> {
        Self::open_with(path, OFlag::O_NOFOLLOW).map_err(|error| {
            if path.is_symlink() {
                io::Error::other("it is a link, and links are not followed here; remove it, or name the folder itself")
            } else {
                error
            }
        })
    }

    fn open_with(path: &Path, flags: OFlag) -> io::Result<Self> {
        let flags = flags | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let folder = File::options().read(true).custom_flags(flags.bits()).open(path)?;
        Ok(Self(folder.into()))
    }

    /// A file's text; `None` when it is not there.
    ///
    /// # Errors
    /// When it cannot be read or is a link.
    pub fn read(&self, name: &str) -> io::Result<Option<String>> {
        // A pipe would keep its reader waiting.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let mut file = match openat(&self.0, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(nix::errno::Errno::ENOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(Some(text))
    }

    /// Writes a file so that it is whole or absent, with its rights from the beginning. It is the folder's owner's. What lay
    /// there is replaced, also where it was a link.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str, mode: u32) -> io::Result<()> {
        let new = format!("{name}.new");
        self.remove(&new)?;
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(mode);
        let mut file = File::from(openat(&self.0, new.as_str(), flags, mode)?);
        file.write_all(text.as_bytes())?;
        fchmod(&file, mode)?;
        self.give(&file)?;
        file.sync_all()?;
        renameat(&self.0, new.as_str(), &self.0, name)?;
        self.sync()
    }

    /// Removes a file. Whether it was there.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, name: &str) -> io::Result<bool> {
        match unlinkat(&self.0, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => Ok(true),
            Err(nix::errno::Errno::ENOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Root gives the folder to the owner of another; everybody else is the owner.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn belong_like(&self, other: &Self) -> io::Result<()> {
        other.give(&File::from(self.0.try_clone()?))
    }

    fn give(&self, made: &File) -> io::Result<()> {
        if !geteuid().is_root() {
            return Ok(());
        }
        let owner = File::from(self.0.try_clone()?).metadata()?;
        Ok(fchown(made, Some(Uid::from_raw(owner.uid())), Some(Gid::from_raw(owner.gid())))?)
    }

    fn sync(&self) -> io::Result<()> {
        File::from(self.0.try_clone()?).sync_all()
    }
}

/// Whether a file or folder is not there.
#[must_use]
pub fn is_absent(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn no_link_in_the_folder_is_followed() {
        let (elsewhere, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let precious = elsewhere.path().join("shadow");
        std::fs::write(&precious, "precious").unwrap();
        for name in ["drain", "drain.new"] {
            symlink(&precious, dir.path().join(name)).unwrap();
        }
        let folder = Folder::open(dir.path()).unwrap();
        assert!(folder.read("drain").is_err());
        folder.write("drain", "why", 0o600).unwrap();
        assert_eq!(folder.read("drain").unwrap().as_deref(), Some("why"));
        let written = dir.path().join("drain").symlink_metadata().unwrap();
        assert_eq!((written.is_file(), written.permissions().mode() & 0o777), (true, 0o600));
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "precious");

        symlink(elsewhere.path(), dir.path().join("linked")).unwrap();
        let refused = Folder::open_unlinked(&dir.path().join("linked")).unwrap_err();
        assert!(refused.to_string().contains("is a link"), "{refused}");
    }
}
