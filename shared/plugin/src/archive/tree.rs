//! What lies where in an archive.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::ArchiveError;

/// What one entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Folder,
    File { executable: bool },
    Link,
}

/// All entries by their plain paths, folders that are only implied among them.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    entries: BTreeMap<PathBuf, Kind>,
}

impl Tree {
    /// Adds an entry and the folders above it.
    ///
    /// Nothing comes to lie below a file or a link, and no path is taken twice; a folder may be named again.
    pub(crate) fn add(&mut self, path: &Path, kind: Kind) -> Result<(), ArchiveError> {
        let refuse = |reason| Err(ArchiveError::Duplicate { path: path.display().to_string(), reason });
        for above in path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
            match self.entries.get(above) {
                None => {
                    self.entries.insert(above.to_owned(), Kind::Folder);
                }
                Some(Kind::Folder) => break,
                Some(Kind::File { .. } | Kind::Link) => return refuse("lies below another entry that is no folder"),
            }
        }
        match (self.entries.get(path), kind) {
            (Some(Kind::Folder), Kind::Folder) => {}
            (Some(_), _) => return refuse("is there twice"),
            (None, _) => {
                self.entries.insert(path.to_owned(), kind);
            }
        }
        Ok(())
    }

    pub(crate) fn kind(&self, path: &Path) -> Option<Kind> {
        self.entries.get(path).copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The only top folder, when there is nothing beside it.
    pub(crate) fn single_top_folder(&self) -> Option<&Path> {
        let mut tops = self.entries.iter().filter(|(path, _)| path.components().count() == 1);
        match (tops.next(), tops.next()) {
            (Some((path, Kind::Folder)), None) => Some(path),
            _ => None,
        }
    }
}
