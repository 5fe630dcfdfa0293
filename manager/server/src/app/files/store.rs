//! The file store.

use std::fs::File;
use std::io::{ErrorKind, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use conductor_model::Timestamp;
use futures_util::Stream;
use serde::Serialize;

use super::note::Note;
use super::{FOLDER_ENTRIES_MAX, FileError, FileKey, Received, make_folders, receive, sync_folder};

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Its length.
    pub size_bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// When it was put.
    pub modified_at: Timestamp,
    /// As it was put.
    pub media_type: Option<String>,
}

/// What a sender says of a file.
#[derive(Clone, Debug, Default)]
pub struct Sent {
    /// What kind of file it is.
    pub media_type: Option<String>,
    /// The digest that it must have, in hexadecimal.
    pub sha256: Option<String>,
}

/// A file that is open for reading.
#[derive(Debug)]
pub struct OpenFile {
    /// What is known of it.
    pub info: FileInfo,
    /// Its bytes, from the start.
    pub file: File,
}

/// One entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FolderEntry {
    /// Its name, without the folder.
    pub name: String,
    /// `file` or `folder`.
    pub kind: &'static str,
    /// Its length; 0 for folders.
    pub size_bytes: u64,
}

/// Files on disk. Cheap to clone.
#[derive(Clone, Debug)]
pub struct FileStore {
    root: PathBuf,
    /// Held while names change: a folder that is being emptied is not removed under a file that moves in.
    names: Arc<Mutex<()>>,
}

impl FileStore {
    /// Makes the store's folders ready and removes what broken uploads left.
    ///
    /// # Errors
    /// [`FileError::Io`] with the folder.
    pub fn open(root: &Path) -> Result<Self, FileError> {
        let store = Self { root: root.to_owned(), names: Arc::default() };
        let incoming = store.incoming();
        match std::fs::remove_dir_all(&incoming) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(FileError::io("empty", &incoming, error)),
            _ => {}
        }
        for folder in [incoming, store.files(), store.notes()] {
            std::fs::create_dir_all(&folder).map_err(|source| FileError::io("make folder", &folder, source))?;
        }
        Ok(store)
    }

    fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    fn files(&self) -> PathBuf {
        self.root.join("files")
    }

    fn notes(&self) -> PathBuf {
        self.root.join("notes")
    }

    fn note_place(&self, key: &FileKey) -> PathBuf {
        let mut place = key.below(&self.notes()).into_os_string();
        // A file `a` and a folder `a` follow each other at times; their notes must not be in each other's way.
        place.push(".note");
        place.into()
    }

    /// Stores a file, new or again; with an expected digest, only bytes that have it. The flag says whether it is new.
    ///
    /// # Errors
    /// Any of [`FileError`]; the file is then as it was.
    pub async fn put<S, E>(&self, key: FileKey, stream: S, limit_bytes: u64, sent: Sent) -> Result<(FileInfo, bool), FileError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let received = receive(stream, &self.incoming(), "the file", limit_bytes).await?;
        if let Some(expected) = sent.sha256.filter(|expected| !expected.eq_ignore_ascii_case(&received.sha256)) {
            return Err(FileError::Digest { expected, found: received.sha256 });
        }
        let store = self.clone();
        blocking(move || store.place(&key, received, sent.media_type)).await
    }

    fn place(&self, key: &FileKey, received: Received, media_type: Option<String>) -> Result<(FileInfo, bool), FileError> {
        let target = key.below(&self.files());
        let metadata =
            std::fs::metadata(&received.place).map_err(|source| FileError::io("look at", &received.place, source))?;
        let note = Note::new(&metadata, received.sha256, media_type);
        let _names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if target.is_dir() {
            return Err(FileError::InTheWay { path: key.to_string(), why: "there is a folder of this name" });
        }
        let is_new = !target.exists();
        let folder = target.parent().unwrap_or(&self.root).to_owned();
        make_folders(&folder).map_err(|error| match error {
            FileError::Io { source, .. } if matches!(source.kind(), ErrorKind::NotADirectory | ErrorKind::AlreadyExists) => {
                FileError::InTheWay { path: key.to_string(), why: "one of its folders is a file" }
            }
            other => other,
        })?;
        let note_place = self.note_place(key);
        // Before the rename: a note that fits no file is harmless, a file without a note is hashed again.
        note.write(&note_place).map_err(|source| FileError::io("write", &note_place, source))?;
        received.place.persist(&target).map_err(|error| FileError::io("rename", &target, error.error))?;
        sync_folder(&folder)?;
        Ok((info(&metadata, note), is_new))
    }

    /// Opens a file; `None` when there is none.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub async fn read(&self, key: FileKey) -> Result<Option<OpenFile>, FileError> {
        let store = self.clone();
        blocking(move || store.open_file(&key)).await
    }

    fn open_file(&self, key: &FileKey) -> Result<Option<OpenFile>, FileError> {
        let place = key.below(&self.files());
        let failed = |source| FileError::io("read", &place, source);
        let mut file = match File::open(&place) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let note = Note::of(&file, &metadata, &self.note_place(key)).map_err(failed)?;
        file.rewind().map_err(failed)?;
        Ok(Some(OpenFile { info: info(&metadata, note), file }))
    }

    /// Removes a file, and the folders that it leaves empty; `false` = there was none.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub async fn delete(&self, key: FileKey) -> Result<bool, FileError> {
        let store = self.clone();
        blocking(move || store.remove(&key)).await
    }

    fn remove(&self, key: &FileKey) -> Result<bool, FileError> {
        let place = key.below(&self.files());
        let _names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if !place.is_file() {
            return Ok(false);
        }
        std::fs::remove_file(&place).map_err(|source| FileError::io("remove", &place, source))?;
        let _ = std::fs::remove_file(self.note_place(key));
        let top = key.tenant_folder(&self.files());
        let mut folder = place.parent();
        while let Some(empty) = folder.filter(|folder| **folder != top && folder.starts_with(&top)) {
            if std::fs::remove_dir(empty).is_err() {
                break;
            }
            folder = empty.parent();
        }
        if let Some(left) = folder {
            sync_folder(left)?;
        }
        Ok(true)
    }

    /// A folder's entries by name, at most [`FOLDER_ENTRIES_MAX`]; `None` when there is no such folder.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub async fn list(&self, key: FileKey) -> Result<Option<Vec<FolderEntry>>, FileError> {
        let place = key.below(&self.files());
        blocking(move || list(&place)).await
    }
}

fn list(folder: &Path) -> Result<Option<Vec<FolderEntry>>, FileError> {
    let failed = |source| FileError::io("list", folder, source);
    let reader = match std::fs::read_dir(folder) {
        Ok(reader) => reader,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(source) => return Err(failed(source)),
    };
    let mut entries = Vec::new();
    for entry in reader.take(FOLDER_ENTRIES_MAX) {
        let entry = entry.map_err(failed)?;
        // One that went away meanwhile is not shown.
        let Ok(metadata) = entry.metadata() else { continue };
        let name = entry.file_name().to_string_lossy().into_owned();
        entries.push(if metadata.is_dir() {
            FolderEntry { name, kind: "folder", size_bytes: 0 }
        } else {
            FolderEntry { name, kind: "file", size_bytes: metadata.len() }
        });
    }
    entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    Ok(Some(entries))
}

fn info(metadata: &std::fs::Metadata, note: Note) -> FileInfo {
    let since = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
    FileInfo {
        size_bytes: metadata.len(),
        sha256: note.sha256,
        modified_at: Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
        media_type: note.media_type,
    }
}

/// Runs disk work on the blocking pool.
pub(in crate::app) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(FileError::io("finish the work on", Path::new("disk"), std::io::Error::other(error))),
    }
}
