//! Bringing the stack up, watching over it, taking it down.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use conductor_boot::init_logging_to;
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};

use super::agents;
use super::broker_node::{BrokerNode, BrokerNodeOptions};
use super::folder::Folder;
use super::pids::Pids;
use super::probe::Probe;
use super::ready_file::{self, ReadyFile};
use super::{DevError, DevOptions, broker_keeper, descendants};
use crate::config::{AgentAccounts, BrokerSettings};
use crate::{ServeError, serve};

/// All agents are active a second after the manager is, on an idle machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often dead orphans are taken off the process table.
const REAP_EVERY: Duration = Duration::from_secs(1);

/// What runs, and how to stop it.
#[derive(Debug)]
struct Stack {
    folder: Folder,
    broker: Option<JoinHandle<()>>,
    stop_broker: watch::Sender<bool>,
    manager: Option<JoinHandle<Result<(), ServeError>>>,
    stop_manager: watch::Sender<bool>,
    agents: JoinSet<()>,
    stop_agents: watch::Sender<bool>,
    /// The processes of each part.
    pids: Vec<Pids>,
}

/// Runs a development stack until a signal says to stop, and takes all of it down.
///
/// It becomes the parent of every orphan below this process and ends them all, so it must have the process for itself.
///
/// # Errors
/// When a part does not come up; whatever did is taken down first.
pub async fn run(options: DevOptions) -> Result<(), DevError> {
    let mut signals = Signals::new()?;
    descendants::adopt_orphans()?;
    if let Some(path) = &options.ready_file {
        ready_file::remove(path)?;
    }
    let folder = Folder::open(options.data_dir.as_deref(), options.log_dir.as_deref())?;
    init_logging_to(&options.settings.log, folder.log("manager")?).map_err(DevError::Logging)?;
    let mut stack = Stack {
        folder,
        broker: None,
        stop_broker: watch::Sender::new(false),
        manager: None,
        stop_manager: watch::Sender::new(false),
        agents: JoinSet::new(),
        stop_agents: watch::Sender::new(false),
        pids: Vec::new(),
    };
    let result = tokio::select! {
        result = async {
            stack.bring_up(&options).await?;
            stack.watch().await
        } => result,
        name = signals.next() => {
            eprintln!("conductor dev: {name}: taking everything down");
            Ok(())
        }
    };
    stack.take_down().await;
    if let Some(path) = &options.ready_file {
        ready_file::remove(path)?;
    }
    result
}

impl Stack {
    async fn bring_up(&mut self, options: &DevOptions) -> Result<(), DevError> {
        let began = Instant::now();
        let program = match options.agents {
            0 => PathBuf::new(),
            _ => agent_program(options.agent_binary.as_deref())?,
        };
        let broker = self.bring_up_broker(options).await?;
        let amqp = broker.url.clone();
        let address = self.bring_up_manager(options, broker).await?;
        let token = self.token(options)?;
        let api = format!("http://{address}");
        let probe = Probe { address, token: token.clone() };
        // In a folder that was used before, the manager remembers agents that have not come up yet.
        let remembered = probe.active_agents().await;
        let plans = agents::plans(options.agents, &program, &api, &token, options.slots, &self.folder);
        let ids: Vec<String> = plans.iter().map(|plan| plan.id.clone()).collect();
        for plan in plans {
            plan.end_leftover();
            let pids = self.new_pids();
            self.agents.spawn(agents::keep(plan, self.stop_agents.subscribe(), pids));
        }
        self.wait_ready(&probe, &ids, &remembered).await?;

        let ready = ReadyFile { api, token, amqp: amqp.expose().to_owned(), agents: ids, pid: std::process::id() };
        eprintln!("conductor dev: everything is up after {:.1} s", began.elapsed().as_secs_f64());
        eprintln!("conductor dev:   export CONDUCTOR_URL={} CONDUCTOR_TOKEN={}", ready.api, ready.token);
        eprintln!("conductor dev:   logs are in {}; Ctrl-C takes everything down", self.folder.logs().display());
        match &options.ready_file {
            Some(path) => ready.write(path),
            None => Ok(()),
        }
    }

    async fn bring_up_broker(&mut self, options: &DevOptions) -> Result<BrokerSettings, DevError> {
        let settings = options.settings.broker.clone();
        if let Some(url) = &options.amqp_url {
            eprintln!("conductor dev: using the broker at {url}");
            return Ok(BrokerSettings { url: url.clone(), ..settings });
        }
        eprintln!("conductor dev: starting RabbitMQ");
        let dir = self.folder.part("broker");
        let node = BrokerNode::start(BrokerNodeOptions { dir, vhosts: Vec::new() }).await.map_err(DevError::Broker)?;
        let url = node.url();
        eprintln!("conductor dev: RabbitMQ answers at {url}");
        // As where it is installed, each agent is a user of its own; without certificates, which plain text has no use for.
        let (management_url, agent_accounts) = (Some(node.management_url()), AgentAccounts::Password);
        let settings = BrokerSettings { url, agent_url: None, management_url, agent_accounts, ..settings };
        let pids = self.new_pids();
        self.broker = Some(tokio::spawn(broker_keeper::keep(node, self.stop_broker.subscribe(), pids)));
        Ok(settings)
    }

    async fn bring_up_manager(&mut self, options: &DevOptions, broker: BrokerSettings) -> Result<SocketAddr, DevError> {
        let mut settings = options.settings.clone();
        settings.listen = options.listen;
        settings.data_dir = self.folder.part("manager");
        settings.broker = broker;
        // Everything here is on loopback.
        settings.tls.enabled = false;
        let mut stop = self.stop_manager.subscribe();
        let (sender, receiver) = oneshot::channel();
        let shutdown = async move {
            let _ = stop.wait_for(|stop| *stop).await;
        };
        let mut manager = tokio::spawn(serve(settings, shutdown, Some(sender)));
        let ready = tokio::select! {
            Ok(ready) = receiver => ready,
            ended = &mut manager => return Err(self.why_ended(ended)),
        };
        self.manager = Some(manager);
        let address = local(ready.address);
        eprintln!("conductor dev: the manager answers at http://{address}");
        Ok(address)
    }

    fn why_ended(&self, ended: Result<Result<(), ServeError>, tokio::task::JoinError>) -> DevError {
        match ended {
            Ok(Err(error)) => DevError::Manager(error),
            Ok(Ok(())) | Err(_) => DevError::ManagerEnded { log: self.folder.log_path("manager") },
        }
    }

    fn token(&self, options: &DevOptions) -> Result<String, DevError> {
        let mut settings = options.settings.clone();
        settings.data_dir = self.folder.part("manager");
        let path = settings.admin_token_file();
        let text = fs::read_to_string(&path).map_err(|source| DevError::Token { path, source })?;
        Ok(text.trim().to_owned())
    }

    async fn wait_ready(&self, probe: &Probe, wanted: &[String], remembered: &BTreeMap<String, Value>) -> Result<(), DevError> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let healthy = probe.healthy().await;
            let active = probe.active_agents().await;
            let heard_of = |id: &&String| active.get(*id).is_some_and(|seen| remembered.get(*id) != Some(seen));
            let missing: Vec<&str> = wanted.iter().filter(|id| !heard_of(id)).map(String::as_str).collect();
            if healthy && missing.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                let missing =
                    if healthy { format!("{} not active", missing.join(", ")) } else { "the manager is not well".to_owned() };
                let logs = self.folder.logs().to_owned();
                return Err(DevError::NotReady { seconds: READY_WITHIN.as_secs(), missing, logs });
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Until the manager ends, which it should not.
    async fn watch(&mut self) -> Result<(), DevError> {
        loop {
            let Some(manager) = &mut self.manager else { return Ok(()) };
            tokio::select! {
                ended = manager => {
                    self.manager = None;
                    return Err(self.why_ended(ended));
                }
                () = sleep(REAP_EVERY) => descendants::reap(&self.own_pids()),
            }
        }
    }

    fn new_pids(&mut self) -> Pids {
        let pids = Pids::default();
        self.pids.push(pids.clone());
        pids
    }

    /// Children whose end somebody here waits for.
    fn own_pids(&self) -> HashSet<i32> {
        let mut all = HashSet::new();
        for pids in &self.pids {
            pids.add_to(&mut all);
        }
        all
    }

    /// Agents first, while there is somebody to report to; then what they left; then the manager; the broker last.
    async fn take_down(mut self) {
        self.stop_agents.send_replace(true);
        while self.agents.join_next().await.is_some() {}
        let left = descendants::end_all(&self.own_pids()).await;
        if left > 0 {
            eprintln!("conductor dev: ended {left} processes that operations had left running");
        }
        self.stop_manager.send_replace(true);
        if let Some(manager) = self.manager.take() {
            match manager.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => eprintln!("conductor dev: {}", conductor_boot::report(&error)),
                Err(error) => eprintln!("conductor dev: the manager did not end well: {error}"),
            }
        }
        self.stop_broker.send_replace(true);
        if let Some(keeper) = self.broker.take() {
            let _ = keeper.await;
        }
        // What the broker's own processes may have left.
        descendants::end_all(&HashSet::new()).await;
        eprintln!("conductor dev: everything is down");
    }
}

/// The address that processes on this host use.
fn local(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn agent_program(given: Option<&std::path::Path>) -> Result<PathBuf, DevError> {
    const NAME: &str = "conductor-agent";
    let path = match given {
        Some(path) => path.to_owned(),
        None => std::env::current_exe().map_err(DevError::prepare(NAME))?.with_file_name(NAME),
    };
    if path.is_file() { Ok(path) } else { Err(DevError::NoAgent { path }) }
}

/// What ends the stack.
#[derive(Debug)]
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> Result<Self, DevError> {
        let listen = |kind| signal(kind).map_err(DevError::Signals);
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "interrupted",
            _ = self.terminate.recv() => "asked to stop",
            _ = self.hang_up.recv() => "the terminal is gone",
        }
    }
}
