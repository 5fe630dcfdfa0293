//! What can be set.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use conductor_boot::LogSettings;
use conductor_model::{WorkflowStatus, limits};
use serde::{Deserialize, Serialize};

use super::BrokerUrl;

/// Most requests to one host at once where nothing is set: a quarter of all, so that three slow hosts leave room for others.
const HTTP_REQUESTS_PER_HOST: usize = 64;

/// The manager's settings. `Default` is what an installed manager beside its own broker runs with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address and port of the REST API. Port 0 = any free one.
    pub listen: SocketAddr,
    /// Where everything lies that is not elsewhere by a setting of its own.
    pub data_dir: PathBuf,
    /// TLS and certificates.
    pub tls: TlsSettings,
    /// The database.
    pub store: StoreSettings,
    /// RabbitMQ.
    pub broker: BrokerSettings,
    /// How agents keep their claim on tasks.
    pub lease: LeaseSettings,
    /// Sizes, counts and waits.
    pub limits: LimitSettings,
    /// The event feed.
    pub feed: FeedSettings,
    /// How long what is over is kept.
    pub retention: RetentionSettings,
    /// Access.
    pub auth: AuthSettings,
    /// Logs.
    pub log: LogSettings,
}

/// `[tls]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// Whether the API speaks TLS. Plain text is allowed on loopback alone.
    pub enabled: bool,
    /// Names and addresses of this manager, for its certificate. Empty = the host's name, localhost and the loopback addresses,
    /// and the address that it listens on.
    pub names: Vec<String>,
    /// The address that hosts are given, as in `https://conductor.example:53333`. Empty = the host's name and the port that the
    /// manager listens on.
    pub address: String,
    /// How long an agent's certificate is good, in seconds. It is renewed after two thirds of that.
    pub certificate_seconds: u64,
}

/// `[store]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// The SQLite file; `manager.db` in the data directory where absent.
    pub path: Option<PathBuf>,
}

/// `[broker]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokerSettings {
    /// How the manager reaches the broker.
    pub url: BrokerUrl,
    /// How agents reach it, where that differs.
    pub agent_url: Option<BrokerUrl>,
    /// RabbitMQ's management API, as in `http://127.0.0.1:15672`, where agents have users of their own.
    pub management_url: Option<String>,
    /// Which users agents have on RabbitMQ.
    pub agent_accounts: AgentAccounts,
    /// PEM of the authority that signed RabbitMQ's certificate; the manager's own authority where absent.
    pub ca_file: Option<PathBuf>,
    /// The type of the shared inbound queues: `quorum` where the broker is clustered.
    pub queue_type: QueueType,
    /// How many publishes may wait for their confirmation at once.
    pub confirm_window: u32,
    /// How many messages from agents the manager takes ahead of its acknowledgements.
    pub prefetch: u16,
}

/// Which users agents have on RabbitMQ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AgentAccounts {
    /// None of their own: all share the one in `broker.agent_url`. For development only.
    #[default]
    Shared,
    /// One each, with a password.
    Password,
    /// One each, with the agent's certificate.
    Certificate,
}

/// What kind of queue the shared inbound queues are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum QueueType {
    /// Durable, on one node.
    #[default]
    Classic,
    /// Replicated over the nodes of a cluster.
    Quorum,
}

/// `[lease]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseSettings {
    /// How often an agent says that it and its tasks are alive, in ms.
    pub interval_ms: u64,
    /// After how many ms without such a word an agent counts as offline and its tasks as lost.
    pub lease_ms: u64,
}

/// `[limits]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    /// Largest JSON body of a request, in bytes.
    pub json_body_bytes: usize,
    /// Largest plugin archive, in bytes.
    pub plugin_archive_bytes: usize,
    /// Largest file under `/resources`, in bytes.
    pub file_bytes: u64,
    /// Longest wait of a polling worker for a task, in ms.
    pub poll_wait_ms: u64,
    /// Most listeners on the event feed at once.
    pub feed_listeners: usize,
    /// Most requests of HTTP steps under way at once to one host and port. Those beyond wait for their turn, and hold up none to
    /// other hosts. At least 1; there are never more than 256 to all hosts together.
    pub http_requests_per_host: usize,
}

/// `[feed]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedSettings {
    /// How many entries are kept for readers that resume.
    pub keep_entries: u64,
}

/// `[retention]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetentionSettings {
    /// How many days a workflow is kept after its end, with its tasks and their logs. 0 = for ever.
    pub workflows_days: u32,
    /// Instead of that, for workflows that ended as COMPLETED.
    pub completed_days: Option<u32>,
    /// Instead of that, for workflows that ended as FAILED.
    pub failed_days: Option<u32>,
    /// Instead of that, for workflows that ended as `TIMED_OUT`.
    pub timed_out_days: Option<u32>,
    /// Instead of that, for workflows that ended as TERMINATED.
    pub terminated_days: Option<u32>,
}

/// `[auth]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthSettings {
    /// Where the admin token is written that the first start makes; `admin.token` in the data directory where absent.
    pub admin_token_file: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 53333)),
            data_dir: PathBuf::from("/var/lib/conductor"),
            tls: TlsSettings::default(),
            store: StoreSettings::default(),
            broker: BrokerSettings::default(),
            lease: LeaseSettings::default(),
            limits: LimitSettings::default(),
            feed: FeedSettings::default(),
            retention: RetentionSettings::default(),
            auth: AuthSettings::default(),
            log: LogSettings::default(),
        }
    }
}

impl Default for BrokerSettings {
    fn default() -> Self {
        Self {
            url: BrokerUrl::local_default(),
            agent_url: None,
            management_url: None,
            agent_accounts: AgentAccounts::Shared,
            ca_file: None,
            queue_type: QueueType::Classic,
            confirm_window: 512,
            prefetch: 512,
        }
    }
}

impl Default for TlsSettings {
    fn default() -> Self {
        Self { enabled: true, names: Vec::new(), address: String::new(), certificate_seconds: 7 * 24 * 3600 }
    }
}

impl Default for LeaseSettings {
    fn default() -> Self {
        Self { interval_ms: 5_000, lease_ms: 15_000 }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            json_body_bytes: limits::JSON_BODY_BYTES_MAX,
            plugin_archive_bytes: limits::PLUGIN_ARCHIVE_BYTES_MAX,
            file_bytes: 1 << 30,
            poll_wait_ms: 60_000,
            feed_listeners: 256,
            http_requests_per_host: HTTP_REQUESTS_PER_HOST,
        }
    }
}

impl Default for FeedSettings {
    fn default() -> Self {
        Self { keep_entries: 200_000 }
    }
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self { workflows_days: 90, completed_days: None, failed_days: None, timed_out_days: None, terminated_days: None }
    }
}

impl RetentionSettings {
    /// How many days a workflow is kept that ended with a status; `None` = for ever, as is what is not over.
    #[must_use]
    pub fn days(&self, status: WorkflowStatus) -> Option<u32> {
        let own = match status {
            WorkflowStatus::Running | WorkflowStatus::Paused => return None,
            WorkflowStatus::Completed => self.completed_days,
            WorkflowStatus::Failed => self.failed_days,
            WorkflowStatus::TimedOut => self.timed_out_days,
            WorkflowStatus::Terminated => self.terminated_days,
        };
        Some(own.unwrap_or(self.workflows_days)).filter(|days| *days > 0)
    }
}

impl Settings {
    /// The SQLite file.
    #[must_use]
    pub fn store_path(&self) -> PathBuf {
        self.store.path.clone().unwrap_or_else(|| self.data_dir.join("manager.db"))
    }

    /// Where keys and certificates lie.
    #[must_use]
    pub fn pki_dir(&self) -> PathBuf {
        self.data_dir.join("pki")
    }

    /// The names and addresses in the manager's certificate.
    #[must_use]
    pub fn server_names(&self) -> Vec<String> {
        if !self.tls.names.is_empty() {
            return self.tls.names.clone();
        }
        let mut names = vec![hostname(), "localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        if !self.listen.ip().is_unspecified() {
            names.push(self.listen.ip().to_string());
        }
        let mut seen = std::collections::HashSet::new();
        names.retain(|name| seen.insert(name.clone()));
        names
    }

    /// The address that hosts are given.
    #[must_use]
    pub fn public_address(&self) -> String {
        if self.tls.address.is_empty() {
            let host = self.tls.names.first().cloned().unwrap_or_else(hostname);
            format!("https://{host}:{}", self.listen.port())
        } else {
            self.tls.address.trim_end_matches('/').to_owned()
        }
    }

    /// The root of the files under `/resources`.
    #[must_use]
    pub fn files_dir(&self) -> PathBuf {
        self.data_dir.join("files")
    }

    /// Where plugin archives lie, by digest.
    #[must_use]
    pub fn plugins_dir(&self) -> PathBuf {
        self.data_dir.join("plugins")
    }

    /// Where the admin token is written that the first start makes.
    #[must_use]
    pub fn admin_token_file(&self) -> PathBuf {
        self.auth.admin_token_file.clone().unwrap_or_else(|| self.data_dir.join("admin.token"))
    }

    /// The broker as agents reach it.
    #[must_use]
    pub fn agent_broker_url(&self) -> &BrokerUrl {
        self.broker.agent_url.as_ref().unwrap_or(&self.broker.url)
    }
}

/// The host's name.
pub(crate) fn hostname() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "localhost".to_owned())
}
