//! What is known of a file beside its bytes.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Longest note in bytes that is read.
const NOTE_BYTES_MAX: u64 = 4 * 1024;

/// A file's note. The first three fields say which bytes it was written for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    inode: u64,
    size_bytes: u64,
    modified_ns: i128,
    pub(super) sha256: String,
    pub(super) media_type: Option<String>,
}

impl Note {
    pub(super) fn new(metadata: &Metadata, sha256: String, media_type: Option<String>) -> Self {
        Self {
            inode: metadata.ino(),
            size_bytes: metadata.len(),
            modified_ns: i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()),
            sha256,
            media_type,
        }
    }

    fn fits(&self, metadata: &Metadata) -> bool {
        *self == Self::new(metadata, self.sha256.clone(), self.media_type.clone())
    }

    /// The note of an open file: as written, or made anew from the bytes when it is missing or another file's.
    pub(super) fn of(file: &File, metadata: &Metadata, place: &Path) -> io::Result<Self> {
        let kept: Option<Self> = File::open(place).ok().and_then(|note| {
            let mut text = String::new();
            note.take(NOTE_BYTES_MAX).read_to_string(&mut text).ok()?;
            serde_json::from_str(&text).ok()
        });
        match kept {
            Some(note) if note.fits(metadata) => Ok(note),
            // A put may be under way, whose note this is: it is left alone.
            Some(_) => Ok(Self::new(metadata, digest(file)?, None)),
            None => {
                let note = Self::new(metadata, digest(file)?, None);
                // The next reader makes it again if it cannot be kept.
                let _ = note.write(place);
                Ok(note)
            }
        }
    }

    pub(super) fn write(&self, place: &Path) -> io::Result<()> {
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(place, serde_json::to_vec(self)?)
    }
}

fn digest(mut file: &File) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 128 * 1024];
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(&chunk[..count]);
    }
}
