//! Bringing the manager up, in order, and down again, in the opposite order.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use conductor_boot::supervisor;
use conductor_store::{OpenError, SqliteStore, Store, StoreError};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::accounts::{Accounts, AccountsError};
use crate::api;
use crate::app::trust::Trust;
use crate::app::{App, AppError, ensure_admin_token};
use crate::clock;
use crate::config::{AgentAccounts, Settings};
use crate::listen::{Peer, PlainListener, Renewal, TlsListener};
use crate::pki::{Authority, PkiError, TaskSigner};

/// Requests that are under way at the end get so long to finish.
const REQUESTS_WAIT_MAX: Duration = Duration::from_secs(10);

/// Why the manager could not be brought up.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The data directory cannot be made or used.
    #[error("data directory {path} cannot be used")]
    DataDir {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The database cannot be opened.
    #[error("the database cannot be opened")]
    Open(#[source] OpenError),
    /// What is not finished cannot be read from the database.
    #[error("the manager's memory cannot be rebuilt from the database")]
    Rebuild(#[source] StoreError),
    /// The first token cannot be made.
    #[error("the admin token cannot be made")]
    Token(#[source] AppError),
    /// The event handlers cannot be read from the database.
    #[error("the event handlers cannot be read from the database")]
    Events(#[source] AppError),
    /// The folder for files cannot be used.
    #[error("the folder for files cannot be used")]
    Files(#[source] crate::app::files::FileError),
    /// Keys or certificates cannot be used.
    #[error("keys or certificates cannot be used")]
    Pki(#[source] PkiError),
    /// Agents' users on RabbitMQ cannot be kept.
    #[error("agents' users on RabbitMQ cannot be kept")]
    Accounts(#[source] AccountsError),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}; set `listen` to an address of this host and a free port")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The REST service failed.
    #[error("the REST service failed")]
    Http(#[source] std::io::Error),
}

/// Said once the manager answers.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Where it listens.
    pub address: SocketAddr,
}

/// Runs a manager until `shutdown` ends. `ready` hears when it answers requests; the broker may still be away then.
///
/// # Errors
/// [`ServeError`] when it cannot be brought up.
pub async fn serve(
    settings: Settings,
    shutdown: impl Future<Output = ()> + Send,
    ready: Option<oneshot::Sender<Ready>>,
) -> Result<(), ServeError> {
    std::fs::create_dir_all(&settings.data_dir)
        .map_err(|source| ServeError::DataDir { path: settings.data_dir.clone(), source })?;
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&settings.store_path()).map_err(ServeError::Open)?);
    ensure_admin_token(store.as_ref(), &settings.admin_token_file()).map_err(ServeError::Token)?;
    let now = clock::now();
    let signer = TaskSigner::open_or_create(&settings.pki_dir()).map_err(ServeError::Pki)?;
    let authority = Authority::open_or_create(&settings.pki_dir(), now).map_err(ServeError::Pki)?;
    let accounts = Accounts::new(&settings, authority.certificate_pem(), signer.sign(b"broker accounts").as_bytes());
    let accounts = Arc::new(accounts.map_err(ServeError::Accounts)?);
    if settings.broker.agent_accounts == AgentAccounts::Certificate {
        // For RabbitMQ on this host; one elsewhere is given its own.
        authority.ensure_server("broker", &settings.server_names(), now).map_err(ServeError::Pki)?;
    }
    let trust = Arc::new(Trust::open(authority, signer, store.as_ref()).map_err(ServeError::Rebuild)?);
    let tls = settings.tls.enabled.then(|| Renewal::new(Arc::clone(&trust), settings.server_names(), now));
    let tls = tls.transpose().map_err(ServeError::Pki)?;
    let metrics = api::Metrics::default();
    let counters = metrics.register(crate::app::metrics::Metrics::register);
    let (app, broker) = App::start(&settings, Arc::clone(&store), counters, trust, accounts).map_err(ServeError::Rebuild)?;
    app.refresh_events().await.map_err(ServeError::Events)?;
    let (close, closing) = watch::channel(false);
    let (stop, stopped) = watch::channel(false);
    let router = api::router(app.clone(), metrics, closing.clone()).map_err(ServeError::Files)?;
    let listener =
        TcpListener::bind(settings.listen).await.map_err(|source| ServeError::Listen { address: settings.listen, source })?;
    let address = listener.local_addr().map_err(|source| ServeError::Listen { address: settings.listen, source })?;

    let mut background = JoinSet::new();
    background.spawn(broker.run(stopped.clone()));
    background.spawn(app.clone().trim_feed(stopped.clone()));
    background.spawn(app.clone().expire_workflows(stopped.clone()));
    background.spawn(app.clone().remove_accounts(stopped.clone()));
    background.spawn(app.clone().handle_events(stopped.clone()));
    background.spawn(watched(app.clone(), stopped.clone()));
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "manager is up");
    supervisor::ready();
    if let Some(ready) = ready {
        let _ = ready.send(Ready { address });
    }
    let mut http = match tls {
        Some(renewal) => {
            let listener = TlsListener::new(listener, renewal.shown());
            let listener = listener.map_err(|source| ServeError::Listen { address: settings.listen, source })?;
            background.spawn(renewal.run(stopped));
            tokio::spawn(answer(listener, router, closing))
        }
        None => tokio::spawn(answer(PlainListener(listener), router, closing)),
    };
    let served = tokio::select! {
        () = shutdown => {
            tracing::info!("stopping");
            supervisor::stopping();
            close.send_replace(true);
            match tokio::time::timeout(REQUESTS_WAIT_MAX, &mut http).await {
                Ok(served) => served,
                Err(_) => {
                    http.abort();
                    tracing::warn!("some requests were still under way and were cut off");
                    Ok(Ok(()))
                }
            }
        }
        served = &mut http => served,
    };
    let _ = tokio::task::spawn_blocking(move || app.stop()).await;
    stop.send_replace(true);
    background.join_all().await;
    let _ = tokio::task::spawn_blocking(move || store.close()).await;
    tracing::info!("manager is down");
    match served {
        Ok(result) => result.map_err(ServeError::Http),
        Err(error) => Err(ServeError::Http(std::io::Error::other(error))),
    }
}

/// Answers requests until `closing` turns true and those that are under way are done.
async fn answer<L>(listener: L, router: Router, mut closing: watch::Receiver<bool>) -> std::io::Result<()>
where
    L: Listener<Addr = Peer>,
    Peer: for<'a> Connected<IncomingStream<'a, L>>,
{
    let service = router.into_make_service_with_connect_info::<Peer>();
    axum::serve(listener, service)
        .with_graceful_shutdown(async move {
            let _ = closing.wait_for(|close| *close).await;
        })
        .await
}

/// Tells systemd that the manager is alive for as long as the deciding thread answers.
async fn watched(app: App, mut stopped: watch::Receiver<bool>) {
    let Some(every) = supervisor::alive_every() else { return };
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stop| *stop) => return,
            () = tokio::time::sleep(every) => {}
        }
        if app.decides().await {
            supervisor::alive();
        }
    }
}
