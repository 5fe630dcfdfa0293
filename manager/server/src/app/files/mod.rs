//! Files on disk: `<area>/<tenant>/<path>`, each with its SHA-256.
//!
//! A file is received beside its place, made durable and then renamed, so that a reader sees the old bytes or the new ones
//! and a refused upload leaves nothing. What is known of a file (digest, media type) lies in a note of its own; a note that
//! does not fit its file (same inode, length and time of change) is made anew from the bytes.

mod error;
mod key;
mod note;
mod range;
mod receive;
mod store;

pub use error::FileError;
pub use key::{FileKey, KeyError};
pub use range::{ByteRange, RangeOutside};
pub use receive::{Received, receive};
pub(in crate::app) use store::blocking;
pub use store::{FileInfo, FileStore, FolderEntry, OpenFile, Sent};

use std::path::Path;

/// Longest wait for the next bytes of an upload in ms.
pub const UPLOAD_STALL_MS_MAX: u64 = 60_000;
/// Most entries that the listing of one folder shows.
pub const FOLDER_ENTRIES_MAX: usize = 10_000;

/// Makes what was done to a folder's entries durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), FileError> {
    let synced = std::fs::File::open(folder).and_then(|open| open.sync_all());
    synced.map_err(|source| FileError::io("sync folder", folder, source))
}

/// Makes a folder with its parents, durably.
pub(super) fn make_folders(folder: &Path) -> Result<(), FileError> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        make_folders(parent)?;
        match std::fs::create_dir(folder) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => {}
            Err(source) => return Err(FileError::io("make folder", folder, source)),
            Ok(()) => sync_folder(parent)?,
        }
    }
    Ok(())
}
