//! Plugins as they lie on this host: fetched by digest, checked, unpacked once.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use conductor_model::PluginDigest;
use conductor_plugin::{ArchiveError, MediaType, check_dir, unpack_verified};
use thiserror::Error;
use tokio::sync::Mutex;

use crate::rest::{Backoff, Rest, RestError};
use crate::runner::Plugin;

/// Most plugins that are kept unpacked; the one that was not used for longest goes first.
const PLUGINS_MAX: usize = 64;
/// Longest wait between two attempts to fetch a plugin.
const RETRY_MAX: Duration = Duration::from_secs(10);

/// Why a plugin is not to be had.
#[derive(Debug, Error)]
pub enum PluginError {
    /// The manager does not give it.
    #[error("the plugin cannot be fetched")]
    Fetch(#[source] RestError),
    /// Its archive is not right.
    #[error("the plugin's archive cannot be unpacked")]
    Unpack(#[source] ArchiveError),
    /// What is unpacked is not a plugin.
    #[error("the plugin is not right: {0}")]
    Invalid(String),
    /// A step here failed.
    #[error("cannot {step} {path}")]
    File {
        /// What was tried.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// Installed plugins.
#[derive(Debug)]
pub struct Plugins {
    dir: PathBuf,
    rest: Rc<Rest>,
    loaded: RefCell<HashMap<PluginDigest, (u64, Rc<Plugin>)>>,
    uses: RefCell<u64>,
    /// One download of one plugin at a time.
    fetching: RefCell<HashMap<PluginDigest, Rc<Mutex<()>>>>,
}

impl Plugins {
    /// Plugins below `dir`.
    #[must_use]
    pub fn new(dir: PathBuf, rest: Rc<Rest>) -> Self {
        Self { dir, rest, loaded: RefCell::default(), uses: RefCell::default(), fetching: RefCell::default() }
    }

    /// The plugin, if it is loaded already: the usual case, without waiting.
    #[must_use]
    pub fn loaded(&self, digest: &PluginDigest) -> Option<Rc<Plugin>> {
        let mut uses = self.uses.borrow_mut();
        *uses += 1;
        let mut loaded = self.loaded.borrow_mut();
        let (used, plugin) = loaded.get_mut(digest)?;
        *used = *uses;
        Some(plugin.clone())
    }

    /// The plugin, fetched if need be; for as long as it takes.
    ///
    /// # Errors
    /// When the manager refuses it, and when it is not right.
    pub async fn get(&self, digest: &PluginDigest) -> Result<Rc<Plugin>, PluginError> {
        if let Some(plugin) = self.loaded(digest) {
            return Ok(plugin);
        }
        let turn = self.fetching.borrow_mut().entry(digest.clone()).or_default().clone();
        let _turn = turn.lock().await;
        if let Some(plugin) = self.loaded(digest) {
            return Ok(plugin);
        }
        let dir = self.dir.join(digest.as_str());
        if !dir.is_dir() {
            self.fetch(digest, &dir).await?;
        }
        let plugin = Rc::new(load(&dir, digest.as_str())?);
        self.remember(digest, plugin.clone()).await;
        self.fetching.borrow_mut().remove(digest);
        Ok(plugin)
    }

    async fn fetch(&self, digest: &PluginDigest, dir: &Path) -> Result<(), PluginError> {
        let archive = self.dir.join(format!(".{digest}.download"));
        let mut backoff = Backoff::new(RETRY_MAX);
        loop {
            match self.rest.download_plugin(digest, &archive).await {
                Ok(()) => break,
                Err(error) if error.is_temporary() => {
                    tracing::warn!(plugin.digest = %digest, error = %conductor_boot::report(&error), "a plugin cannot be fetched yet");
                    backoff.wait().await;
                }
                Err(error) => {
                    // What came of it takes room that may be wanted badly.
                    let _ = std::fs::remove_file(&archive);
                    return Err(PluginError::Fetch(error));
                }
            }
        }
        let (from, to, expected) = (archive.clone(), dir.to_owned(), digest.clone());
        let unpacked = tokio::task::spawn_blocking(move || unpack(&from, &to, &expected)).await;
        let removed = std::fs::remove_file(&archive);
        match unpacked {
            Ok(done) => done?,
            Err(error) => return Err(PluginError::Invalid(format!("unpacking was broken off: {error}"))),
        }
        removed.map_err(|source| PluginError::File { step: "remove", path: archive, source })
    }

    async fn remember(&self, digest: &PluginDigest, plugin: Rc<Plugin>) {
        let used = *self.uses.borrow();
        self.loaded.borrow_mut().insert(digest.clone(), (used, plugin));
        while let Some(victim) = self.surplus() {
            tracing::info!(path = %victim.display(), "removing a plugin that was not used for long");
            let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(victim)).await;
            if let Ok(Err(error)) = removed {
                tracing::warn!(%error, "a plugin cannot be removed");
            }
        }
    }

    /// Forgets the plugin that was not used for longest, if there are too many, and says where it lies.
    fn surplus(&self) -> Option<PathBuf> {
        let mut loaded = self.loaded.borrow_mut();
        if loaded.len() <= PLUGINS_MAX {
            return None;
        }
        let unused = loaded.iter().filter(|(_, (_, plugin))| Rc::strong_count(plugin) == 1);
        let victim = unused.min_by_key(|(_, (used, _))| *used).map(|(digest, _)| digest.clone())?;
        loaded.remove(&victim).map(|(_, plugin)| plugin.dir.clone())
    }
}

/// Loads an unpacked plugin.
///
/// # Errors
/// When it is not right.
pub fn load(dir: &Path, digest: &str) -> Result<Plugin, PluginError> {
    let manifest = check_dir(dir).map_err(|violations| {
        let all: Vec<_> = violations.iter().map(|violation| format!("{} {}", violation.path, violation.message)).collect();
        PluginError::Invalid(all.join("; "))
    })?;
    Ok(Plugin { dir: dir.to_owned(), manifest, digest: digest.to_owned() })
}

fn unpack(archive: &Path, dir: &Path, digest: &PluginDigest) -> Result<(), PluginError> {
    let file = |step, source| PluginError::File { step, path: archive.to_owned(), source };
    let mut open = std::fs::File::open(archive).map_err(|source| file("open", source))?;
    let mut start = [0; MediaType::MAGIC_BYTES];
    let count = std::io::Read::read(&mut open, &mut start).map_err(|source| file("read", source))?;
    std::io::Seek::rewind(&mut open).map_err(|source| file("read", source))?;
    let media_type = MediaType::detect(&start[..count])
        .ok_or_else(|| PluginError::Invalid("what came is no .tar.gz and no .tar.zst archive".to_owned()))?;
    unpack_verified(open, media_type, dir, digest).map(drop).map_err(PluginError::Unpack)
}
