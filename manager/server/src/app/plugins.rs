//! Plugins: received, read as a whole without trust, and only then kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use conductor_model::{PluginDigest, PluginRecord, TenantName};
use conductor_plugin::{ArchiveError, Inspected, MediaType, inspect};
use futures_util::Stream;

use super::files::{FileError, Received, blocking, make_folders, receive, sync_folder};
use super::{App, AppError};

/// Where archives of plugins are kept: `<tenant>/<digest>`. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PluginShelf {
    root: PathBuf,
    /// Held while an archive and its record come or go together.
    changing: Arc<tokio::sync::Mutex<()>>,
}

impl PluginShelf {
    /// Makes the shelf ready and removes what broken uploads left.
    ///
    /// # Errors
    /// [`FileError::Io`] with the folder.
    pub fn open(files_dir: &Path) -> Result<Self, FileError> {
        let shelf = Self { root: files_dir.join("plugins"), changing: Arc::default() };
        let incoming = shelf.incoming();
        match std::fs::remove_dir_all(&incoming) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(FileError::io("empty", &incoming, error));
            }
            _ => {}
        }
        std::fs::create_dir_all(&incoming).map_err(|source| FileError::io("make folder", &incoming, source))?;
        Ok(shelf)
    }

    fn incoming(&self) -> PathBuf {
        // No tenant's name begins with a dot.
        self.root.join(".incoming")
    }

    fn place(&self, tenant: &TenantName, digest: &PluginDigest) -> PathBuf {
        self.root.join(tenant.as_str()).join(digest.as_str())
    }

    /// Receives a plugin's archive, reads all of it, and keeps it. The flag says whether it is new: the same bytes again
    /// are no error.
    ///
    /// # Errors
    /// `too-large`; `plugin-…` with what is wrong in the archive or its manifest; `exists` for another archive under a name
    /// and version that are taken. Nothing is kept then.
    pub async fn upload<S, E>(
        &self,
        app: &App,
        tenant: &TenantName,
        stream: S,
        limit_bytes: u64,
    ) -> Result<(PluginRecord, bool), AppError>
    where
        S: Stream<Item = Result<Bytes, E>> + Unpin,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let received = receive(stream, &self.incoming(), "the plugin's archive", limit_bytes).await?;
        let place = received.place.to_path_buf();
        let (media_type, found) = match tokio::task::spawn_blocking(move || read_archive(&place)).await {
            Ok(read) => read?,
            Err(error) => return Err(AppError::Internal { operation: "reading a plugin's archive", source: Box::new(error) }),
        };
        let record = record(tenant, media_type, found)?;
        let _changing = self.changing.lock().await;
        let (owner, digest) = (tenant.clone(), record.digest.clone());
        if let Some(known) = app.read(move |store| store.plugin_by_digest(&owner, &digest)).await? {
            return Ok((known, false));
        }
        self.keep(app, received, record).await
    }

    /// Archive first, record second: a record always has its archive.
    async fn keep(&self, app: &App, received: Received, record: PluginRecord) -> Result<(PluginRecord, bool), AppError> {
        let target = self.place(&record.tenant, &record.digest);
        let folder = target.parent().unwrap_or(&self.root).to_owned();
        let place = target.clone();
        blocking(move || {
            make_folders(&folder)?;
            received.place.persist(&place).map_err(|error| FileError::io("rename", &place, error.error))?;
            sync_folder(&folder)
        })
        .await?;
        let row = record.clone();
        match app.read(move |store| store.put_plugin(row)).await {
            Ok(is_new) => {
                app.plugins_changed();
                Ok((record, is_new))
            }
            Err(error) => {
                let _ = std::fs::remove_file(&target);
                Err(taken(error, &record))
            }
        }
    }

    /// The archive of a plugin, open for reading.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn archive(
        &self,
        app: &App,
        tenant: &TenantName,
        digest: &PluginDigest,
    ) -> Result<(PluginRecord, std::fs::File), AppError> {
        let (owner, wanted) = (tenant.clone(), digest.clone());
        let record = app.read(move |store| store.plugin_by_digest(&owner, &wanted)).await?;
        let record = record.ok_or_else(|| AppError::not_found("plugin with digest", digest))?;
        let place = self.place(tenant, digest);
        let file =
            blocking(move || std::fs::File::open(&place).map_err(|source| FileError::io("read", &place, source))).await?;
        Ok((record, file))
    }

    /// Removes a plugin. Agents that have it in their cache keep it.
    ///
    /// # Errors
    /// `not-found`.
    pub async fn delete(&self, app: &App, tenant: &TenantName, digest: &PluginDigest) -> Result<(), AppError> {
        let _changing = self.changing.lock().await;
        let (owner, wanted) = (tenant.clone(), digest.clone());
        if !app.read(move |store| store.delete_plugin(&owner, &wanted)).await? {
            return Err(AppError::not_found("plugin with digest", digest));
        }
        app.plugins_changed();
        // An archive without a record is never read; the next upload of the same bytes takes its place.
        let _ = tokio::fs::remove_file(self.place(tenant, digest)).await;
        Ok(())
    }
}

fn taken(error: AppError, record: &PluginRecord) -> AppError {
    match error {
        AppError::Conflict { code: "exists", .. } => AppError::conflict(
            "plugin-version-exists",
            format!(
                "plugin {} {} exists already with other contents; give the new contents a new version",
                record.name, record.version
            ),
        ),
        other => other,
    }
}

fn read_archive(place: &Path) -> Result<(MediaType, Inspected), AppError> {
    let failed = |source| AppError::from(FileError::io("read", place, source));
    let mut start = [0; MediaType::MAGIC_BYTES];
    let mut file = std::fs::File::open(place).map_err(failed)?;
    let length = read_start(&mut file, &mut start).map_err(failed)?;
    let media_type = MediaType::detect(&start[..length]).ok_or_else(|| {
        AppError::invalid(
            "plugin-archive-unknown",
            "the body is neither gzip nor zstd; send the .tar.gz or .tar.zst of the plugin's directory",
        )
    })?;
    let file = std::fs::File::open(place).map_err(failed)?;
    let found = inspect(std::io::BufReader::new(file), media_type).map_err(refused)?;
    Ok((media_type, found))
}

fn read_start(file: &mut std::fs::File, start: &mut [u8]) -> std::io::Result<usize> {
    use std::io::Read;
    let mut length = 0;
    while length < start.len() {
        match file.read(&mut start[length..])? {
            0 => break,
            count => length += count,
        }
    }
    Ok(length)
}

fn refused(error: ArchiveError) -> AppError {
    if !error.is_callers_fault() {
        return AppError::Internal { operation: "reading a plugin's archive", source: Box::new(error) };
    }
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        message = format!("{message}: {inner}");
        cause = inner.source();
    }
    AppError::Invalid { code: error.code(), message: format!("{message}; {}", error.hint()), violations: Vec::new() }
}

fn record(tenant: &TenantName, media_type: MediaType, found: Inspected) -> Result<PluginRecord, AppError> {
    let manifest = serde_json::to_value(&found.manifest)
        .map_err(|error| AppError::Internal { operation: "writing a manifest as JSON", source: Box::new(error) })?;
    Ok(PluginRecord {
        tenant: tenant.clone(),
        name: found.manifest.name,
        version: found.manifest.version,
        digest: found.digest,
        size_bytes: found.archive_bytes,
        media_type: media_type.as_str().to_owned(),
        manifest,
        uploaded_at: crate::clock::now(),
    })
}
