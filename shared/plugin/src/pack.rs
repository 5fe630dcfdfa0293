//! Making the archive of a plugin's directory.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use conductor_model::Violation;
use conductor_model::limits::PLUGIN_ENTRIES_MAX;
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};
use thiserror::Error;

use crate::check::check_dir;
use crate::manifest::{Manifest, summary};

/// Why no archive could be made of a directory.
#[derive(Debug, Error)]
pub enum PackError {
    /// The directory is no plugin.
    #[error("{} is no plugin: {}", .dir.display(), summary(.violations))]
    NotAPlugin {
        /// The directory.
        dir: PathBuf,
        /// All that is wrong.
        violations: Vec<Violation>,
    },
    /// Something in it cannot be read, or the archive cannot be written.
    #[error("{} cannot be packed", .path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Something that is neither file, folder nor symbolic link.
    #[error("{} is neither a file, a folder nor a symbolic link", .path.display())]
    Kind {
        /// Where.
        path: PathBuf,
    },
    /// More than [`PLUGIN_ENTRIES_MAX`].
    #[error("{} has more than {PLUGIN_ENTRIES_MAX} files and folders", .dir.display())]
    TooMany {
        /// The directory.
        dir: PathBuf,
    },
}

/// Checks the plugin in `dir` and writes its `.tar.gz` to `out`.
///
/// The same files give the same bytes: entries are sorted and carry no times and no owners, so a plugin that was not
/// changed keeps its digest. `__pycache__` and names that begin with a dot are left out.
///
/// # Errors
/// When `dir` is no plugin, or cannot be read.
pub fn pack_dir(dir: &Path, out: impl Write) -> Result<Manifest, PackError> {
    let manifest = check_dir(dir).map_err(|violations| PackError::NotAPlugin { dir: dir.to_owned(), violations })?;
    let mut tar = Builder::new(GzBuilder::new().mtime(0).write(out, Compression::default()));
    for path in list(dir)? {
        append(&mut tar, dir, &path)?;
    }
    tar.into_inner().and_then(flate2::write::GzEncoder::finish).and_then(|mut out| out.flush()).map_err(at(dir))?;
    Ok(manifest)
}

/// All paths below `dir`, relative to it, sorted, folders before what they hold.
fn list(dir: &Path) -> Result<Vec<PathBuf>, PackError> {
    let mut found = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(dir.join(&folder)).map_err(at(&dir.join(&folder)))? {
            let entry = entry.map_err(at(&dir.join(&folder)))?;
            let name = entry.file_name();
            if name == "__pycache__" || name.as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = folder.join(name);
            if entry.file_type().map_err(at(&entry.path()))?.is_dir() {
                open.push(path.clone());
            }
            found.push(path);
            if found.len() > PLUGIN_ENTRIES_MAX {
                return Err(PackError::TooMany { dir: dir.to_owned() });
            }
        }
    }
    found.sort();
    Ok(found)
}

fn append<W: Write>(tar: &mut Builder<W>, dir: &Path, path: &Path) -> Result<(), PackError> {
    let full = dir.join(path);
    let metadata = fs::symlink_metadata(&full).map_err(at(&full))?;
    let mut header = Header::new_gnu();
    header.set_mtime(0);
    let written = if metadata.is_dir() {
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o755);
        header.set_size(0);
        tar.append_data(&mut header, path, io::empty())
    } else if metadata.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        fs::read_link(&full).and_then(|target| tar.append_link(&mut header, path, target))
    } else if metadata.is_file() {
        header.set_entry_type(EntryType::Regular);
        header.set_mode(if metadata.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 });
        header.set_size(metadata.len());
        File::open(&full).and_then(|file| tar.append_data(&mut header, path, file))
    } else {
        return Err(PackError::Kind { path: full });
    };
    written.map_err(at(&full))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> PackError + use<> {
    let path = path.to_owned();
    move |source| PackError::Io { path, source }
}
