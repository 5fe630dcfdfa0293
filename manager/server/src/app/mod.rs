//! The use cases: authorise, load, decide, commit, wake.
//!
//! [`App`] is what every door calls. Commands that change workflows go to the deciding thread (`core`) and answer after
//! the commit; reads go to the store's readers.

mod agents;
mod definitions;
mod error;
mod reads;
mod workflows;

pub use agents::AgentView;
pub use error::AppError;
pub use workflows::{IdempotencyStrategy, StartCommand};

use std::sync::Arc;

use conductor_model::{FeedEntry, TenantName};
use conductor_store::Store;
use tokio::sync::broadcast;

/// Who makes a request.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Whose data it may see.
    pub tenant: TenantName,
    /// Name of its token.
    pub name: String,
}

/// The application. Cheap to clone.
#[derive(Clone, Debug)]
pub struct App {
    pub(crate) inner: Arc<Inner>,
}

/// What all handles share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) feed: broadcast::Sender<Arc<FeedEntry>>,
}

impl App {
    /// Whose token this is; `None` = nobody's.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn authenticate(&self, token: &str) -> Result<Option<Caller>, AppError> {
        let hash = token_hash(token);
        let found = self.read(move |store| store.token(&hash)).await?;
        Ok(found.map(|(tenant, name)| Caller { tenant, name }))
    }

    /// Hears every feed entry from now on, of all tenants (the receiver filters). A slow listener loses entries and must
    /// read them from the store.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<FeedEntry>> {
        self.inner.feed.subscribe()
    }
}

/// What is stored of a token: the SHA-256 of its text, in hexadecimal.
#[must_use]
pub fn token_hash(token: &str) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(token.as_bytes()))
}
