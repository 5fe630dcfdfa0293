//! What every handler can reach.

use std::ops::Deref;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use super::Metrics;
use super::auth::Callers;
use crate::app::App;
use crate::app::files::{FileError, FileStore};
use crate::app::plugins::PluginShelf;
use crate::config::LimitSettings;

/// Shared by all requests. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct ApiState(Arc<Parts>);

/// The parts of [`ApiState`].
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) app: App,
    pub(super) metrics: Metrics,
    pub(super) callers: Callers,
    pub(super) files: FileStore,
    pub(super) plugins: PluginShelf,
    /// One permit for each listener on the event feed.
    pub(super) listeners: Arc<Semaphore>,
    shutdown: watch::Receiver<bool>,
}

impl ApiState {
    /// Makes the folders for files and plugins ready.
    pub(super) fn open(app: App, metrics: Metrics, shutdown: watch::Receiver<bool>) -> Result<Self, FileError> {
        let dir = app.settings().data_dir.join("files");
        let (files, plugins) = (FileStore::open(&dir)?, PluginShelf::open(&dir)?);
        let listeners = Arc::new(Semaphore::new(app.settings().limits.feed_listeners.min(Semaphore::MAX_PERMITS)));
        Ok(Self(Arc::new(Parts { app, metrics, callers: Callers::default(), files, plugins, listeners, shutdown })))
    }

    /// The limits that operators set.
    pub(super) fn limits(&self) -> &LimitSettings {
        &self.app.settings().limits
    }

    /// Tells when the manager ends: what would go on for ever ends then.
    pub(super) fn shutdown(&self) -> watch::Receiver<bool> {
        self.shutdown.clone()
    }
}

/// Waits until the manager ends.
pub(super) async fn shut_down(shutdown: &mut watch::Receiver<bool>) {
    // Whoever could say so is gone: that is an end too.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

impl Deref for ApiState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
