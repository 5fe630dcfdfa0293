//! Starting, stopping and starting again.

use std::env;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use super::account::{self, Account};
use super::files::{self, Identity, Layout};
use super::ports::Ports;
use super::{BrokerNodeError, handshake};
use crate::config::BrokerUrl;
use crate::dev::leftovers;

/// Where distributions keep the server's own script. What lies on the PATH is often a wrapper that insists on being root.
const SERVER_PATHS: &[&str] = &["/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/local/lib/rabbitmq/bin/rabbitmq-server"];
/// A node answers after some 5 s on an idle machine; many times that on a busy one.
const START_WITHIN: Duration = Duration::from_secs(120);
/// How often is looked whether it answers.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A clean stop flushes queues to the disk.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// Bytes of the node's output that are shown when it dies.
const LAST_WORDS_BYTES: usize = 2000;
/// One scheduler per direction is plenty for a development broker, and nobody spins while there is nothing to do.
const ERLANG_FLAGS: &str =
    "+S 2:2 +SDcpu 1:1 +SDio 1 +A 4 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}";

/// Where the pids of the node's processes are kept.
const NODE_PID: &str = "node.pid";
const EPMD_PID: &str = "epmd.pid";

/// How to start a node.
#[derive(Clone, Debug)]
pub struct BrokerNodeOptions {
    /// The node's folder; it is made when it is not there. Its data stay there when the node stops.
    pub dir: PathBuf,
    /// Virtual hosts to make beside `/`.
    pub vhosts: Vec<String>,
}

/// A private RabbitMQ node. Dropping it kills it; [`BrokerNode::stop`] ends it cleanly.
#[derive(Debug)]
pub struct BrokerNode {
    layout: Layout,
    account: Option<Account>,
    ports: Ports,
    identity: Identity,
    server: PathBuf,
    node: Child,
    epmd: Child,
    /// Where it is written that the folder is a temporary one; both go with the node.
    redirect: Option<PathBuf>,
}

impl BrokerNode {
    /// Starts a node and waits until it answers.
    ///
    /// The folder may have been used before: the node comes up with its queues and messages, on other ports. Where the
    /// broker's user cannot reach the folder, one under `/tmp` is taken instead, which is removed at the stop.
    ///
    /// # Errors
    /// When RabbitMQ is not installed, when the folder cannot be prepared, and when the node does not come up.
    pub async fn start(options: BrokerNodeOptions) -> Result<Self, BrokerNodeError> {
        let server = find_server().ok_or(BrokerNodeError::NotInstalled)?;
        let account = account::account()?;
        let dir = std::path::absolute(&options.dir).map_err(BrokerNodeError::prepare(&options.dir))?;
        let mut layout = Layout { dir };
        if let Some(parent) = layout.dir.parent() {
            std::fs::create_dir_all(parent).map_err(BrokerNodeError::prepare(parent))?;
        }
        let redirect = match account {
            Some(account) if !account.can_reach(&layout.dir) => Some(files::redirect(&mut layout)?),
            Some(_) | None => None,
        };
        files::make_folder(&layout, account)?;
        let identity = files::identity(&layout, account)?;
        for file in [NODE_PID, EPMD_PID] {
            leftovers::end(&layout.path(file), &layout.mark());
        }
        let ports = Ports::free()?;
        files::configure(&layout, account, ports, &identity, &options.vhosts)?;
        let epmd = spawn_epmd(&layout, account, ports)?;
        let node = spawn_node(&server, &layout, account, ports, &identity)?;
        let mut started = Self { layout, account, ports, identity, server, node, epmd, redirect };
        started.wait_ready().await?;
        Ok(started)
    }

    /// The URI of the virtual host `/`.
    #[must_use]
    pub fn url(&self) -> BrokerUrl {
        self.vhost_url("/")
    }

    /// The URI of a virtual host that was named at the start.
    #[must_use]
    pub fn vhost_url(&self, vhost: &str) -> BrokerUrl {
        let vhost = vhost.replace('/', "%2f");
        BrokerUrl::loopback(files::USER, &self.identity.password, self.ports.amqp, &vhost)
    }

    /// The address of the management API.
    #[must_use]
    pub fn management_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.management)
    }

    /// The node's process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.node.id()
    }

    /// The processes that belong to the node and were started here.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        [self.node.id(), self.epmd.id()].into_iter().flatten().collect()
    }

    /// Waits until the node's process ends by itself.
    pub async fn ended(&mut self) -> String {
        describe(self.node.wait().await)
    }

    /// Kills the node as a crash would.
    pub async fn kill(&mut self) {
        self.signal_group(Signal::SIGKILL);
        let _ = self.node.wait().await;
    }

    /// Ends the node's process cleanly; [`BrokerNode::start_again`] brings it back on the same ports with the same data.
    pub async fn halt(&mut self) {
        if let Some(pid) = self.node.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        if timeout(STOP_WITHIN, self.node.wait()).await.is_err() {
            tracing::warn!("RabbitMQ did not stop in time and is killed");
            self.kill().await;
        }
    }

    /// Starts the node again after [`BrokerNode::halt`], [`BrokerNode::kill`] or its own end, on the same ports.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start_again(&mut self) -> Result<(), BrokerNodeError> {
        if !matches!(self.epmd.try_wait(), Ok(None)) {
            self.epmd = spawn_epmd(&self.layout, self.account, self.ports)?;
        }
        self.node = spawn_node(&self.server, &self.layout, self.account, self.ports, &self.identity)?;
        self.wait_ready().await
    }

    /// Ends the node cleanly, and its epmd.
    pub async fn stop(mut self) {
        self.halt().await;
        // It keeps nothing; there is nothing to be clean about.
        let _ = self.epmd.kill().await;
        leftovers::forget(&self.layout.path(NODE_PID));
        leftovers::forget(&self.layout.path(EPMD_PID));
        if let Some(redirect) = &self.redirect {
            leftovers::forget(redirect);
            if let Err(error) = std::fs::remove_dir_all(&self.layout.dir) {
                tracing::warn!(folder = %self.layout.dir.display(), %error, "the broker's temporary folder was not removed");
            }
        }
    }

    async fn wait_ready(&mut self) -> Result<(), BrokerNodeError> {
        let log = self.layout.output();
        let deadline = Instant::now() + START_WITHIN;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.node.try_wait() {
                let words = last_words(&log);
                return Err(BrokerNodeError::Died { status: describe(Ok(status)), log, words });
            }
            if handshake::answers(self.ports.amqp).await && handshake::listens(self.ports.management).await {
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
        }
        self.kill().await;
        Err(BrokerNodeError::Silent { port: self.ports.amqp, waited: START_WITHIN, log })
    }

    fn signal_group(&self, signal: Signal) {
        if let Some(pid) = self.node.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _ = killpg(Pid::from_raw(pid), signal);
        }
    }
}

fn find_server() -> Option<PathBuf> {
    let known = SERVER_PATHS.iter().map(PathBuf::from).find(|path| path.is_file());
    known.or_else(|| find_on_path("rabbitmq-server"))
}

fn find_on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    // Not every account has these on its path, and the distribution's server lies there.
    let folders = env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")]);
    folders.map(|folder| folder.join(name)).find(|candidate| candidate.is_file())
}

fn spawn_epmd(layout: &Layout, account: Option<Account>, ports: Ports) -> Result<Child, BrokerNodeError> {
    let program = find_on_path("epmd").ok_or(BrokerNodeError::NoEpmd)?;
    let mut command = command(&program, layout, account)?;
    command.arg("-port").arg(ports.epmd.to_string()).args(["-address", "127.0.0.1"]);
    let child = command.spawn().map_err(|source| BrokerNodeError::Spawn { program, source })?;
    leftovers::remember(&layout.path(EPMD_PID), child.id());
    Ok(child)
}

fn spawn_node(
    server: &Path,
    layout: &Layout,
    account: Option<Account>,
    ports: Ports,
    identity: &Identity,
) -> Result<Child, BrokerNodeError> {
    let mut command = command(server, layout, account)?;
    let path = |name: &str| layout.path(name);
    command
        // The script runs the node in its own place instead of watching over it as a child.
        .env("detached", "yes")
        .env("ERL_EPMD_PORT", ports.epmd.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_NODENAME", &identity.name)
        .env("RABBITMQ_NODE_PORT", ports.amqp.to_string())
        .env("RABBITMQ_DIST_PORT", ports.distribution.to_string())
        .env("RABBITMQ_CONF_ENV_FILE", path("rabbitmq-env.conf"))
        .env("RABBITMQ_CONFIG_FILE", path("rabbitmq.conf"))
        .env("RABBITMQ_ADVANCED_CONFIG_FILE", path("advanced.config"))
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", path("enabled_plugins"))
        .env("RABBITMQ_MNESIA_BASE", path("data"))
        .env("RABBITMQ_LOG_BASE", path("log"))
        .env("RABBITMQ_PID_FILE", path("rabbitmq.pid"))
        .env("RABBITMQ_PLUGINS_EXPAND_DIR", path("plugins"))
        .env("RABBITMQ_GENERATED_CONFIG_DIR", path("config"))
        .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", ERLANG_FLAGS);
    let child = command.spawn().map_err(|source| BrokerNodeError::Spawn { program: server.to_owned(), source })?;
    leftovers::remember(&layout.path(NODE_PID), child.id());
    Ok(child)
}

/// A program of the node: nothing of this process's environment, a process group of its own, its output in the folder.
fn command(program: &Path, layout: &Layout, account: Option<Account>) -> Result<Command, BrokerNodeError> {
    let output = files::open_output(layout, account)?;
    let again = |file: &File| file.try_clone().map_err(BrokerNodeError::prepare(layout.output()));
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LANG", "C.UTF-8")
        // Erlang keeps its cookie there.
        .env("HOME", layout.home())
        .current_dir(&layout.dir)
        .stdin(Stdio::null())
        .stderr(again(&output)?)
        .stdout(output)
        .process_group(0)
        .kill_on_drop(true);
    if let Some(Account { uid, gid }) = account {
        command.uid(uid.as_raw()).gid(gid.as_raw());
    }
    Ok(command)
}

fn describe(status: std::io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "for no known reason".to_owned(),
        },
        Err(error) => error.to_string(),
    }
}

fn last_words(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let start = text.len().saturating_sub(LAST_WORDS_BYTES);
    String::from_utf8_lossy(&text[start..]).trim().to_owned()
}
