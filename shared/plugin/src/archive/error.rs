//! What can be wrong with an archive.

use std::io;
use std::path::PathBuf;

use conductor_model::{PluginDigest, Violation};
use thiserror::Error;

use crate::manifest::{ManifestError, summary};
use crate::media::MediaType;

/// Why an archive is refused or could not be unpacked.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// Not an archive of its kind, cut short or damaged.
    #[error("the archive cannot be read as a tar in {media_type}")]
    Unreadable {
        /// What it was read as.
        media_type: MediaType,
        /// What the reader says.
        #[source]
        source: io::Error,
    },
    /// An entry that would lie, or a link that would point, outside the plugin.
    #[error("the entry {path:?} {reason}")]
    PathEscapes {
        /// The path as the archive has it.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A device, a pipe, a hard link or another thing that has no place in a plugin.
    #[error("the entry {path:?} is {what}")]
    EntryKind {
        /// The path as the archive has it.
        path: String,
        /// What it is.
        what: &'static str,
    },
    /// Two entries for one path, or an entry below something that is no folder.
    #[error("the entry {path:?} {reason}")]
    Duplicate {
        /// The path.
        path: String,
        /// What stands in its way.
        reason: &'static str,
    },
    /// More than a limit allows; reading stopped there.
    #[error("the archive has more than {limit} {what}")]
    TooLarge {
        /// What there is too much of, with its unit.
        what: &'static str,
        /// How much is allowed.
        limit: u64,
    },
    /// No `plugin.yaml`.
    #[error("the archive has no plugin.yaml at its top or in its single top folder")]
    ManifestMissing,
    /// A `plugin.yaml` that is not right.
    #[error(transparent)]
    Manifest {
        /// What is wrong.
        source: ManifestError,
    },
    /// The manifest names programs that are not there or not executable.
    #[error("plugin.yaml: {}", summary(.violations))]
    Program {
        /// Each of them.
        violations: Vec<Violation>,
    },
    /// Not the archive that was asked for.
    #[error("the archive's digest is {found}; expected {expected}")]
    Digest {
        /// What was asked for.
        expected: PluginDigest,
        /// What came.
        found: PluginDigest,
    },
    /// The archive is right, but it could not be written.
    #[error("{} cannot be written", .path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl ArchiveError {
    /// A stable code for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "plugin-archive-unreadable",
            Self::PathEscapes { .. } => "plugin-path-escapes",
            Self::EntryKind { .. } => "plugin-entry-refused",
            Self::Duplicate { .. } => "plugin-entry-duplicate",
            Self::TooLarge { .. } => "plugin-archive-too-large",
            Self::ManifestMissing => "plugin-manifest-missing",
            Self::Manifest { .. } => "plugin-manifest-invalid",
            Self::Program { .. } => "plugin-entrypoint-missing",
            Self::Digest { .. } => "plugin-digest-mismatch",
            Self::Write { .. } => "plugin-unpack-failed",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "pack the plugin's directory again: tar -C DIR -czf plugin.tar.gz .",
            Self::PathEscapes { .. } => {
                "pack from inside the plugin's directory, with relative paths and links that stay inside it"
            }
            Self::EntryKind { .. } => {
                "leave out everything but files, folders and symbolic links; GNU tar's --hard-dereference stores hard links as files"
            }
            Self::Duplicate { .. } => "pack into a new archive instead of adding to an old one",
            Self::TooLarge { .. } => {
                "leave data out of the plugin; put it into the file store and fetch it with ctx download-resource"
            }
            Self::ManifestMissing => "put a plugin.yaml beside the entry point; docs/PLUGIN-API.md shows one",
            Self::Manifest { .. } => "mend plugin.yaml; conductor-agent plugin check DIR says the same without an upload",
            Self::Program { .. } => "put the file there and make it executable (chmod +x), or mend its path in plugin.yaml",
            Self::Digest { .. } => "fetch the archive again; it was changed on its way",
            Self::Write { .. } => "look at free space and permissions there",
        }
    }

    /// Whether the archive is at fault, and not the machine that reads it.
    #[must_use]
    pub fn is_callers_fault(&self) -> bool {
        !matches!(self, Self::Write { .. })
    }
}
