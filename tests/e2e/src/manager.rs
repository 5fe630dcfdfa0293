//! `conductor-manager serve`, to be killed and started again on the same data and port.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use conductor_client::Client;

use crate::ports::free_port;
use crate::process::{Piece, binary};
use crate::raw::Raw;
use crate::wait::until;

/// Longest wait in seconds for the manager to answer with everything connected.
const START_SECONDS: u64 = 60;
/// Longest wait in seconds for the manager to end when asked.
const STOP_SECONDS: u64 = 20;

/// The manager of a stack.
#[derive(Debug)]
pub struct Manager {
    folder: PathBuf,
    settings: BTreeMap<String, String>,
    port: u16,
    piece: Option<Piece>,
}

impl Manager {
    pub(crate) fn new(folder: &Path, amqp_url: &str, settings: &[(String, String)]) -> Self {
        let port = free_port();
        let data = folder.join("manager");
        fs::create_dir_all(&data).expect("the manager's folder can be made");
        let mut all = BTreeMap::from([
            ("CONDUCTOR_LISTEN".to_owned(), format!("127.0.0.1:{port}")),
            ("CONDUCTOR_DATA_DIR".to_owned(), data.display().to_string()),
            ("CONDUCTOR_TLS__ENABLED".to_owned(), "false".to_owned()),
            ("CONDUCTOR_BROKER__URL".to_owned(), amqp_url.to_owned()),
        ]);
        all.extend(settings.iter().cloned());
        Self { folder: folder.to_owned(), settings: all, port, piece: None }
    }

    /// Sets a variable for its next start.
    pub fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its process id; 0 when it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.piece.as_ref().map_or(0, Piece::pid)
    }

    /// The token that its first start made.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn token(&self) -> String {
        let path = self.folder.join("manager").join("admin.token");
        fs::read_to_string(path).expect("the manager's first start makes a token").trim().to_owned()
    }

    /// A typed client.
    ///
    /// # Panics
    /// When the manager was never started.
    #[must_use]
    pub fn client(&self) -> Client {
        conductor_client::install_tls_provider();
        Client::new(&self.url(), Some(&self.token())).expect("the manager's address is one")
    }

    /// A client that sends anything.
    #[must_use]
    pub fn raw(&self) -> Raw {
        Raw::new(&self.url(), &self.token())
    }

    /// Starts the process; does not wait.
    ///
    /// # Panics
    /// When it runs already.
    pub fn spawn(&mut self) {
        assert!(self.piece.is_none(), "the manager runs already");
        let mut command = Command::new(binary("conductor-manager"));
        command.arg("serve").env_clear().envs(crate::stack::base_environment()).envs(&self.settings);
        self.piece = Some(Piece::start("conductor-manager", &mut command, &self.folder.join("manager.log")));
    }

    /// Waits until it answers; with `healthy`, until it is also connected to RabbitMQ.
    ///
    /// # Panics
    /// When it ends instead, or does not answer in time.
    pub async fn wait_until_up(&mut self, healthy: bool) {
        conductor_client::install_tls_provider();
        let client = Client::new(&self.url(), None).expect("the manager's address is one");
        until("the manager is up", START_SECONDS, async || {
            if let Some(piece) = self.piece.as_mut() {
                piece.assert_running();
            }
            let health = client.health().await.map_err(|error| error.to_string())?;
            if healthy && health.get("healthy") != Some(&serde_json::Value::Bool(true)) {
                Err(health.to_string())
            } else {
                Ok(())
            }
        })
        .await;
    }

    /// Starts it on its old data and port, and waits until it is up.
    pub async fn start(&mut self) {
        self.spawn();
        self.wait_until_up(true).await;
    }

    /// kill -9.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill9(&mut self) {
        self.piece.take().expect("the manager runs").kill9();
    }

    /// Asks it to end; fails when it does not, or badly.
    ///
    /// # Panics
    /// Then.
    pub fn stop(&mut self) {
        self.piece.take().expect("the manager runs").stop(STOP_SECONDS);
    }

    pub(crate) fn put_down(&mut self) {
        if let Some(piece) = self.piece.take() {
            piece.put_down(STOP_SECONDS);
        }
    }

    /// Everything that it logged.
    #[must_use]
    pub fn log_text(&self) -> String {
        fs::read_to_string(self.folder.join("manager.log")).unwrap_or_default()
    }
}
