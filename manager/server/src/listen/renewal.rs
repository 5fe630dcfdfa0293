//! Keeping in date the certificate that the manager shows, while it runs.

use std::sync::Arc;
use std::time::Duration;

use conductor_boot::report;
use conductor_model::Timestamp;
use rustls::ServerConfig;
use tokio::sync::watch;

use crate::app::trust::Trust;
use crate::clock;
use crate::pki::{self, PkiError};

/// How often is looked whether the certificate is in date.
const LOOK_EVERY: Duration = Duration::from_secs(6 * 60 * 60);

/// The certificate that is shown, and what renews it when a third of its life is left.
#[derive(Debug)]
pub struct Renewal {
    trust: Arc<Trust>,
    names: Vec<String>,
    shown: watch::Sender<Arc<ServerConfig>>,
}

impl Renewal {
    /// TLS with a certificate for these names, which is made where there is none in date.
    ///
    /// # Errors
    /// When files cannot be read or written, or do not fit each other.
    pub fn new(trust: Arc<Trust>, names: Vec<String>, now: Timestamp) -> Result<Self, PkiError> {
        let files = trust.authority().ensure_server("server", &names, now)?;
        let shown = watch::Sender::new(pki::server_config(trust.authority(), &files)?);
        Ok(Self { trust, names, shown })
    }

    /// What connections are answered with, as it is at each moment.
    #[must_use]
    pub fn shown(&self) -> watch::Receiver<Arc<ServerConfig>> {
        self.shown.subscribe()
    }

    /// Makes another certificate if it is time; connections that are there keep the one they have seen.
    ///
    /// # Errors
    /// As [`Renewal::new`]. What is shown stays as it was then.
    pub fn look(&self, now: Timestamp) -> Result<(), PkiError> {
        let files = self.trust.authority().ensure_server("server", &self.names, now)?;
        if files.made {
            self.shown.send_replace(pki::server_config(self.trust.authority(), &files)?);
            tracing::info!(file = %files.certificate.display(), "the manager's certificate was renewed");
        }
        Ok(())
    }

    /// Looks now and then.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                _ = stopped.wait_for(|stop| *stop) => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            if let Err(error) = self.look(clock::now()) {
                tracing::error!(error = %report(&error), "the manager's certificate cannot be renewed; it is tried again");
            }
        }
    }
}
