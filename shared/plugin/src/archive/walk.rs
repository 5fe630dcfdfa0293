//! The one pass over an archive that both looking and unpacking use.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use conductor_model::PluginDigest;
use conductor_model::limits::{
    PLUGIN_ARCHIVE_BYTES_MAX, PLUGIN_ENTRIES_MAX, PLUGIN_MANIFEST_BYTES_MAX, PLUGIN_UNPACKED_BYTES_MAX,
};
use tar::{Archive, EntryType};

use super::ArchiveError;
use super::header::{Extensions, Named, Step, damaged};
use super::source::{Bounded, Passed, Source};
use super::tree::{Kind, Tree};
use crate::manifest::MANIFEST_FILE;
use crate::media::MediaType;
use crate::path::{check_link, normalize};

/// Bytes handed to the sink at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// What one entry may cost in the tar beside its content: a header, extensions and padding.
const ENTRY_OVERHEAD_BYTES: u64 = 4 * 1024;

/// How much an archive may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) archive_bytes: u64,
    pub(crate) unpacked_bytes: u64,
    pub(crate) entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            archive_bytes: PLUGIN_ARCHIVE_BYTES_MAX as u64,
            unpacked_bytes: PLUGIN_UNPACKED_BYTES_MAX,
            entries: PLUGIN_ENTRIES_MAX,
        }
    }
}

/// Where the content of an archive goes. Paths are plain and inside; links are not here but in [`Walked::links`], as
/// they may be made only when everything else is in its place.
pub(crate) trait Sink {
    fn folder(&mut self, path: &Path) -> Result<(), ArchiveError>;
    /// Called with the whole content in pieces, at least once.
    fn file(&mut self, path: &Path, executable: bool, bytes: &[u8]) -> Result<(), ArchiveError>;
}

/// What was found.
pub(crate) struct Walked {
    pub(crate) tree: Tree,
    /// Links and their targets.
    pub(crate) links: Vec<(PathBuf, String)>,
    /// The folder that has the manifest: empty, or the single top folder.
    pub(crate) root: PathBuf,
    pub(crate) digest: PluginDigest,
    pub(crate) archive_bytes: u64,
    pub(crate) unpacked_bytes: u64,
    manifest: Option<Vec<u8>>,
}

impl Walked {
    pub(crate) fn manifest(&self) -> Result<&[u8], ArchiveError> {
        self.manifest.as_deref().ok_or(ArchiveError::ManifestMissing)
    }
}

/// Reads `archive` to its end and hands what it holds to `sink`.
pub(crate) fn walk(
    archive: impl Read,
    media_type: MediaType,
    limits: Limits,
    sink: &mut dyn Sink,
) -> Result<Walked, ArchiveError> {
    let unreadable = |source| unreadable(media_type, source);
    let source = Source::open(archive, media_type, limits.archive_bytes).map_err(unreadable)?;
    let tar_bytes_max = limits.unpacked_bytes.saturating_add(ENTRY_OVERHEAD_BYTES.saturating_mul(limits.entries as u64));
    let mut tar = Archive::new(Bounded::new(source, tar_bytes_max, "bytes when unpacked"));
    let mut pass = Pass { limits, media_type, sink, tree: Tree::default(), links: Vec::new(), manifests: Vec::new(), bytes: 0 };
    let mut extensions = Extensions::default();
    for entry in tar.entries().map_err(unreadable)?.raw(true) {
        let mut entry = entry.map_err(unreadable)?;
        if let Step::Entry(named) = extensions.step(&mut entry).map_err(unreadable)? {
            pass.take(&named, &mut entry)?;
        }
    }
    let Pass { tree, links, mut manifests, bytes, .. } = pass;
    // What lies behind the end mark is decompressed too: its checksum and its size count.
    let mut rest = tar.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(unreadable)?;
    let (digest, archive_bytes) = rest.into_inner().finish().map_err(unreadable)?;
    let root = tree.single_top_folder().map(Path::to_owned).unwrap_or_default();
    let at = root.join(MANIFEST_FILE);
    let manifest = manifests.iter().position(|(path, _)| *path == at).map(|at| manifests.swap_remove(at).1);
    check_links(&links, &root)?;
    Ok(Walked { tree, links, root, digest, archive_bytes, unpacked_bytes: bytes, manifest })
}

/// Links are looked at when the root is known: one that stays below `/` of the archive may still leave the folder in it
/// that becomes the plugin.
fn check_links(links: &[(PathBuf, String)], root: &Path) -> Result<(), ArchiveError> {
    for (link, target) in links {
        let inside = link.strip_prefix(root).unwrap_or(link);
        check_link(inside, target).map_err(|reason| ArchiveError::PathEscapes { path: link.display().to_string(), reason })?;
    }
    Ok(())
}

pub(crate) fn unreadable(media_type: MediaType, source: io::Error) -> ArchiveError {
    match source.get_ref().and_then(|inner| inner.downcast_ref::<Passed>()) {
        Some(passed) => ArchiveError::TooLarge { what: passed.what, limit: passed.limit },
        None => ArchiveError::Unreadable { media_type, source },
    }
}

struct Pass<'a> {
    limits: Limits,
    media_type: MediaType,
    sink: &'a mut dyn Sink,
    tree: Tree,
    links: Vec<(PathBuf, String)>,
    /// `plugin.yaml` at the top and in the first top folder: at most two.
    manifests: Vec<(PathBuf, Vec<u8>)>,
    bytes: u64,
}

impl Pass<'_> {
    fn take(&mut self, entry: &Named, content: &mut dyn Read) -> Result<(), ArchiveError> {
        let path = normalize(&entry.name).map_err(|reason| ArchiveError::PathEscapes { path: entry.name.clone(), reason })?;
        let refuse = |what| Err(ArchiveError::EntryKind { path: entry.name.clone(), what });
        let kind = match entry.kind {
            EntryType::Directory => Kind::Folder,
            EntryType::Regular | EntryType::Continuous if !entry.sparse => Kind::File { executable: entry.executable },
            EntryType::Symlink => Kind::Link,
            EntryType::Link => return refuse("a hard link"),
            EntryType::Char | EntryType::Block => return refuse("a device"),
            EntryType::Fifo => return refuse("a named pipe"),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => return refuse("a sparse file"),
            _ => return refuse("of a kind that has no place in a plugin"),
        };
        if path.as_os_str().is_empty() {
            // `./`, which `tar -C DIR .` writes first.
            return if kind == Kind::Folder { Ok(()) } else { refuse("without a name") };
        }
        self.tree.add(&path, kind)?;
        if self.tree.len() > self.limits.entries {
            return Err(ArchiveError::TooLarge { what: "entries", limit: self.limits.entries as u64 });
        }
        match kind {
            Kind::Folder => self.sink.folder(&path),
            Kind::Link => {
                self.links.push((path, entry.link.clone().unwrap_or_default()));
                Ok(())
            }
            Kind::File { executable } => self.take_file(&path, executable, entry.size, content),
        }
    }

    fn take_file(&mut self, path: &Path, executable: bool, size: u64, content: &mut dyn Read) -> Result<(), ArchiveError> {
        let media_type = self.media_type;
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > self.limits.unpacked_bytes {
            return Err(ArchiveError::TooLarge { what: "bytes when unpacked", limit: self.limits.unpacked_bytes });
        }
        let mut manifest = self.may_be_manifest(path).then(Vec::new);
        if manifest.is_some() && size > PLUGIN_MANIFEST_BYTES_MAX {
            return Err(ArchiveError::TooLarge { what: "bytes of plugin.yaml", limit: PLUGIN_MANIFEST_BYTES_MAX });
        }
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut left = size;
        self.sink.file(path, executable, &[])?;
        while left > 0 {
            let count = content.read(&mut chunk).map_err(|source| unreadable(media_type, source))?;
            if count == 0 {
                return Err(unreadable(media_type, damaged("the archive ends within a file")));
            }
            left = left.saturating_sub(count as u64);
            self.sink.file(path, executable, &chunk[..count])?;
            if let Some(kept) = &mut manifest {
                kept.extend_from_slice(&chunk[..count]);
            }
        }
        self.manifests.extend(manifest.map(|text| (path.to_owned(), text)));
        Ok(())
    }

    fn may_be_manifest(&self, path: &Path) -> bool {
        if path.file_name().is_none_or(|name| name != MANIFEST_FILE) {
            return false;
        }
        match path.components().count() {
            1 => true,
            2 => self.tree.single_top_folder().is_some(),
            _ => false,
        }
    }
}
