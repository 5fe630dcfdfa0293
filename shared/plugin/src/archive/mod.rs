//! Reading archives that come from outside.

mod error;
mod header;
mod source;
mod tree;
mod walk;

pub use error::ArchiveError;
pub(crate) use tree::Kind;
pub(crate) use walk::{Limits, Sink, Walked, walk};

use std::io::Read;
use std::path::Path;

use conductor_model::PluginDigest;

use crate::manifest::Manifest;
use crate::media::MediaType;

/// What an archive holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Inspected {
    /// Its manifest.
    pub manifest: Manifest,
    /// The SHA-256 of the archive.
    pub digest: PluginDigest,
    /// Length of the archive in bytes.
    pub archive_bytes: u64,
    /// Files, folders and links in it.
    pub entries: usize,
    /// Bytes of all its files.
    pub unpacked_bytes: u64,
}

/// Reads a whole archive and writes nothing: every entry is looked at, every byte is decompressed and counted.
///
/// # Errors
/// What is wrong with the archive, with a stable [`ArchiveError::code`].
pub fn inspect(archive: impl Read, media_type: MediaType) -> Result<Inspected, ArchiveError> {
    inspect_within(archive, media_type, Limits::default())
}

pub(crate) fn inspect_within(archive: impl Read, media_type: MediaType, limits: Limits) -> Result<Inspected, ArchiveError> {
    walk(archive, media_type, limits, &mut Nowhere)?.into_inspected()
}

/// Writes nothing.
struct Nowhere;

impl Sink for Nowhere {
    fn folder(&mut self, _path: &Path) -> Result<(), ArchiveError> {
        Ok(())
    }

    fn file(&mut self, _path: &Path, _executable: bool, _bytes: &[u8]) -> Result<(), ArchiveError> {
        Ok(())
    }
}

impl Walked {
    /// The manifest, if all that it names is there.
    pub(crate) fn into_inspected(self) -> Result<Inspected, ArchiveError> {
        let manifest = Manifest::parse(self.manifest()?).map_err(|source| ArchiveError::Manifest { source })?;
        let violations = crate::check::check_programs(&manifest, |file| self.tree.kind(&self.root.join(file)));
        if !violations.is_empty() {
            return Err(ArchiveError::Program { violations });
        }
        Ok(Inspected {
            manifest,
            digest: self.digest,
            archive_bytes: self.archive_bytes,
            entries: self.tree.len(),
            unpacked_bytes: self.unpacked_bytes,
        })
    }
}

#[cfg(test)]
mod tests;
