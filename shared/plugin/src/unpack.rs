//! Making a directory of an archive.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use conductor_model::PluginDigest;

use crate::archive::{ArchiveError, Inspected, Limits, Sink, walk};
use crate::manifest::Manifest;
use crate::media::MediaType;

/// Mode of a file that the archive calls executable; set-id bits are never taken over.
const EXECUTABLE_MODE: u32 = 0o755;
/// Mode of any other file.
const FILE_MODE: u32 = 0o644;

/// Tells apart what this process unpacks at the same time.
static STAGES: AtomicU64 = AtomicU64::new(0);

/// Unpacks `archive` into the new directory `dest`: all of it or nothing. `plugin.yaml` lies directly in `dest`, also when
/// the archive has it in a single top folder. The folder above `dest` must be there, and `dest` must not.
///
/// # Errors
/// What is wrong with the archive or the place, with a stable [`ArchiveError::code`].
pub fn unpack(archive: impl Read, media_type: MediaType, dest: &Path) -> Result<Manifest, ArchiveError> {
    unpack_checked(archive, media_type, dest, |_| Ok(())).map(|found| found.manifest)
}

/// Like [`unpack`], but `dest` appears only if the archive has the digest `expected`.
///
/// # Errors
/// As [`unpack`], and [`ArchiveError::Digest`].
pub fn unpack_verified(
    archive: impl Read,
    media_type: MediaType,
    dest: &Path,
    expected: &PluginDigest,
) -> Result<Manifest, ArchiveError> {
    let check = |found: &Inspected| {
        if found.digest == *expected {
            return Ok(());
        }
        Err(ArchiveError::Digest { expected: expected.clone(), found: found.digest.clone() })
    };
    unpack_checked(archive, media_type, dest, check).map(|found| found.manifest)
}

fn unpack_checked(
    archive: impl Read,
    media_type: MediaType,
    dest: &Path,
    check: impl FnOnce(&Inspected) -> Result<(), ArchiveError>,
) -> Result<Inspected, ArchiveError> {
    if dest.symlink_metadata().is_ok() {
        return Err(ArchiveError::Write { path: dest.to_owned(), source: io::ErrorKind::AlreadyExists.into() });
    }
    let mut stage = Stage::beside(dest)?;
    let walked = walk(archive, media_type, Limits::default(), &mut stage)?;
    stage.close()?;
    let root = stage.folder.join(&walked.root);
    for (link, target) in &walked.links {
        let path = stage.folder.join(link);
        make_parent(&path)?;
        symlink(target, &path).map_err(at(&path))?;
    }
    let found = walked.into_inspected()?;
    check(&found)?;
    fs::rename(&root, dest).map_err(at(dest))?;
    Ok(found)
}

/// A folder beside the destination that goes away whatever happens.
struct Stage {
    folder: PathBuf,
    open: Option<(PathBuf, File)>,
}

impl Stage {
    fn beside(dest: &Path) -> Result<Self, ArchiveError> {
        let mut name = std::ffi::OsString::from(".");
        name.push(dest.file_name().unwrap_or_default());
        name.push(format!(".{}-{}.partial", std::process::id(), STAGES.fetch_add(1, Ordering::Relaxed)));
        let folder = dest.with_file_name(name);
        // Left behind by a process of the same number that was killed here.
        if folder.symlink_metadata().is_ok() {
            fs::remove_dir_all(&folder).map_err(at(&folder))?;
        }
        fs::create_dir(&folder).map_err(at(&folder))?;
        Ok(Self { folder, open: None })
    }

    /// Brings the last file to the disk.
    fn close(&mut self) -> Result<(), ArchiveError> {
        match self.open.take() {
            Some((path, file)) => file.sync_all().map_err(at(&path)),
            None => Ok(()),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // After a success only an empty shell is left, or nothing; after a failure there is nobody to tell.
        drop(fs::remove_dir_all(&self.folder));
    }
}

impl Sink for Stage {
    fn folder(&mut self, path: &Path) -> Result<(), ArchiveError> {
        let path = self.folder.join(path);
        fs::create_dir_all(&path).map_err(at(&path))
    }

    fn file(&mut self, path: &Path, executable: bool, bytes: &[u8]) -> Result<(), ArchiveError> {
        let path = self.folder.join(path);
        if self.open.as_ref().is_none_or(|(open, _)| *open != path) {
            self.close()?;
            make_parent(&path)?;
            let mode = if executable { EXECUTABLE_MODE } else { FILE_MODE };
            // `create_new` follows no link and opens nothing that is already there.
            let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path).map_err(at(&path))?;
            self.open = Some((path.clone(), file));
        }
        match &mut self.open {
            Some((_, file)) => file.write_all(bytes).map_err(at(&path)),
            None => Ok(()),
        }
    }
}

fn make_parent(path: &Path) -> Result<(), ArchiveError> {
    match path.parent() {
        Some(parent) => fs::create_dir_all(parent).map_err(at(parent)),
        None => Ok(()),
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ArchiveError + use<> {
    let path = path.to_owned();
    move |source| ArchiveError::Write { path, source }
}
