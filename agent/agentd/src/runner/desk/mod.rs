//! One agent's part of the runner process: its tasks, and what is kept of them until the agent has it.
//!
//! [`line`] is the connection to the agent, [`Spool`] keeps log lines, [`outlet`] is what a running task speaks through,
//! [`serve`] takes connections and orders, [`transfer`] moves files of tasks, [`process`] is the runner from start to end, [`renewal`] what
//! it keeps over its own end.

pub mod line;
pub mod outlet;
mod pour;
pub mod process;
pub mod renewal;
mod result;
pub mod serve;
pub mod transfer;

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use conductor_agent_core::policy::Ask;
use conductor_agent_core::{TaskKey, TaskResult};
use conductor_agent_log::{Mask, Spool};
use conductor_model::{AgentId, Outcome};
use conductor_plugin::Mode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::{Mutex, Notify, watch};

use super::environment::{PERSISTENT_MARK, TASK_MARK};
use super::job::new_token;
use super::{BaseEnvironment, Ending, Folders, Host, Job, Plugin, Stop, Voice, killer, oneshot, persistent};
use crate::ctx::{Manager, server};
use crate::plugins;
use crate::policy::PolicyFile;
use crate::runner_link::message::{FromRunner, LeftOver, Order};
use crate::sys::cgroup::{self, Cgroups};
use crate::sys::procfs;
use crate::sys::reaper::Reaper;
use line::AgentLine;
use outlet::ToAgent;
use result::result_of;

/// Most plugins whose manifests are kept read.
const PLUGINS_MAX: usize = 64;

/// What is kept of a task.
#[derive(Debug)]
enum Held {
    /// It runs.
    Running { stop: watch::Sender<Option<Stop>>, outlet: Rc<ToAgent> },
    /// It ended, and the agent has not taken its result.
    Ended(Box<TaskResult>),
}

/// What all desks of a runner share.
#[derive(Debug)]
pub struct House {
    /// Where the runner keeps everything.
    pub data: PathBuf,
    /// Most bytes of log that one desk keeps on disk.
    pub spool_bytes: u64,
    /// What the host lets run.
    pub policy_file: PathBuf,
    /// Waits for all processes.
    pub reaper: Reaper,
    /// Control groups for tasks.
    pub cgroups: Option<Cgroups>,
    /// The user that tasks run as.
    pub user: String,
}

/// What a desk keeps over the end of its process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Kept {
    /// The number of the next batch of log lines.
    pub next_batch: u64,
    /// Results that were not taken.
    pub ended: Vec<(TaskKey, Box<TaskResult>)>,
}

impl Default for Kept {
    fn default() -> Self {
        Self { next_batch: 1, ended: Vec::new() }
    }
}

/// One agent's part.
#[derive(Debug)]
pub struct Desk {
    agent: AgentId,
    host: Rc<Host>,
    /// The agent's connection.
    line: Rc<AgentLine>,
    tasks: RefCell<HashMap<TaskKey, Held>>,
    spool: RefCell<Spool>,
    /// Woken when there may be log lines to send.
    pour: Notify,
    /// Held by the connection that is served: the next one waits for its end.
    turn: Mutex<()>,
    plugins: RefCell<HashMap<String, Rc<Plugin>>>,
    /// The user that tasks run as.
    user: String,
    /// Woken whenever something ended or was taken.
    moved: Notify,
}

impl Desk {
    /// Opens the desk of `agent` below `data`; must run inside a `LocalSet`.
    ///
    /// # Errors
    /// When its folders, its spool or the socket for `ctx` cannot be made.
    pub async fn open(agent: AgentId, house: &House, kept: Kept) -> io::Result<Rc<Self>> {
        let folders = Folders { data: house.data.join(agent.as_str()) };
        for path in [folders.work(), folders.state(), folders.bin()] {
            std::fs::create_dir_all(path)?;
        }
        let instance = instance(&folders.data.join("instance"))?;
        crate::daemon::link_ctx(&folders.bin());
        let socket = server::socket_path(&folders.data, &instance);
        let listener = server::listen(&socket)?;
        let line = Rc::new(AgentLine::default());
        let host = Rc::new(Host {
            agent: agent.as_str().to_owned(),
            incarnation: instance,
            reaper: house.reaper.clone(),
            environment: BaseEnvironment::of_process(agent.as_str(), &folders.bin(), &folders.state(), &socket),
            folders: folders.clone(),
            work_dirs: Default::default(),
            scratch: Default::default(),
            pools: Default::default(),
            speakers: Default::default(),
            manager: Manager::Behind(line.clone()),
            policy: PolicyFile::new(house.policy_file.clone()),
            cgroups: house.cgroups.clone(),
        });
        tokio::task::spawn_local(server::serve(listener, Rc::downgrade(&host)));
        let mut spool = Spool::open(folders.data.join("spool"), house.spool_bytes)?;
        spool.number_from(kept.next_batch);
        let ended = kept.ended.into_iter().map(|(key, result)| (key, Held::Ended(result)));
        let desk = Rc::new(Self {
            agent,
            host,
            line,
            tasks: RefCell::new(ended.collect()),
            spool: RefCell::new(spool),
            pour: Notify::new(),
            turn: Mutex::new(()),
            plugins: RefCell::default(),
            user: house.user.clone(),
            moved: Notify::new(),
        });
        desk.end_earlier_life().await;
        tokio::task::spawn_local(pour::pour(Rc::downgrade(&desk)));
        Ok(desk)
    }

    /// Persistent processes of an earlier life serve nobody, and its working directories belong to nobody.
    async fn end_earlier_life(&self) {
        let own = vec![self.host.incarnation.clone()];
        killer::kill_marked(&self.host.agent, &[(PERSISTENT_MARK, own)]).await;
        let Ok(entries) = std::fs::read_dir(self.host.folders.work()) else { return };
        for entry in entries.flatten() {
            if let Err(error) = std::fs::remove_dir_all(entry.path()) {
                tracing::warn!(path = %entry.path().display(), %error, "a working directory cannot be removed");
            }
        }
    }

    /// Tasks that run or whose result was not taken.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskKey> {
        self.tasks.borrow().keys().copied().collect()
    }

    /// Whether no task runs.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.tasks.borrow().values().all(|held| matches!(held, Held::Ended(_)))
    }

    /// Whether the agent has everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.borrow().is_empty() && self.spool.borrow().is_empty()
    }

    /// Begins a task, unless it is known.
    fn start(self: &Rc<Self>, order: Order) {
        let key = order.key;
        // An agent that knows of a loss may begin the task again; that it took the result is said only after that.
        let is_lost = |held: &Held| matches!(held, Held::Ended(result) if result.finished.outcome == Outcome::Lost);
        if self.tasks.borrow().get(&key).is_some_and(|held| !is_lost(held)) {
            return;
        }
        let outlet = Rc::new(ToAgent::new(Rc::downgrade(self), key, order.tenant.clone(), order.node_instance.clone()));
        let (stop, stop_asked) = watch::channel(None);
        self.tasks.borrow_mut().insert(key, Held::Running { stop, outlet: outlet.clone() });
        let desk = self.clone();
        tokio::task::spawn_local(async move {
            let voice = Rc::new(Voice::new(outlet.clone(), Mask::new(&order.secrets)));
            // Set once, here.
            let _ = outlet.voice.set(Rc::downgrade(&voice));
            let ending = desk.run(order, &voice, stop_asked).await;
            desk.ended(key, result_of(ending, &outlet, &voice));
        });
    }

    async fn run(&self, order: Order, voice: &Rc<Voice>, stop: watch::Receiver<Option<Stop>>) -> Ending {
        let plugin = match self.plugin(&order.plugin_dir, &order.plugin_digest) {
            Ok(plugin) => plugin,
            Err(reason) => return Ending { outcome: Outcome::Refused, reason: Some(reason), exit_code: None },
        };
        if let Err(reason) = self.allow(&plugin, &order.operation) {
            return Ending { outcome: Outcome::Refused, reason: Some(reason), exit_code: None };
        }
        let of_plugin = plugin.manifest.operations.get(&order.operation).and_then(|operation| operation.limits.as_ref());
        let limits = cgroup::smaller(order.limits.as_ref(), of_plugin);
        let job = Rc::new(Job {
            key: order.key,
            task_id: order.key.task_id.to_string(),
            workflow_id: order.workflow_id.to_string(),
            reference: order.reference,
            attempt: order.attempt,
            tenant: order.tenant,
            plugin,
            operation: order.operation,
            input: order.input,
            node_instance: order.node_instance,
            run_timeout: order.run_timeout_ms.map(Duration::from_millis),
            grace: Duration::from_millis(order.grace_ms),
            limits,
            voice: voice.clone(),
            stop,
        });
        if job.described().is_none() {
            let reason = format!("the plugin {} has no operation {:?}", job.plugin.manifest.name, job.operation);
            return Ending { outcome: Outcome::FailedTerminally, reason: Some(reason), exit_code: None };
        }
        match job.plugin.manifest.mode {
            Mode::Persistent => persistent::run(&self.host, &job).await,
            Mode::OneShot | Mode::Script => oneshot::run(&self.host, &job).await,
        }
    }

    /// The host's own word: the agent may have been told to pass on what it should not.
    fn allow(&self, plugin: &Plugin, operation: &str) -> Result<(), String> {
        let manifest = &plugin.manifest;
        let (name, version) = (manifest.name.as_str(), manifest.version.as_str());
        self.host.policy.check(Ask::Run { plugin: name, version, operation, user: &self.user })?;
        manifest.environment.iter().try_for_each(|name| self.host.policy.check(Ask::Environment(name)))
    }

    /// What is kept over the end of this process.
    ///
    /// # Errors
    /// When log lines cannot be put by.
    pub fn put_by(&self) -> io::Result<Kept> {
        let tasks = self.tasks.borrow();
        let ended = tasks.iter().filter_map(|(key, held)| match held {
            Held::Ended(result) => Some((*key, result.clone())),
            Held::Running { .. } => None,
        });
        let ended = ended.collect();
        let mut spool = self.spool.borrow_mut();
        spool.put_by()?;
        Ok(Kept { next_batch: spool.next_batch(), ended })
    }

    /// The plugin, read once.
    fn plugin(&self, dir: &Path, digest: &str) -> Result<Rc<Plugin>, String> {
        if let Some(plugin) = self.plugins.borrow().get(digest).filter(|plugin| plugin.dir == dir) {
            return Ok(plugin.clone());
        }
        let plugin = plugins::load(dir, digest).map_err(|error| conductor_boot::report(&error).to_string())?;
        let plugin = Rc::new(plugin);
        let mut all = self.plugins.borrow_mut();
        if all.len() >= PLUGINS_MAX {
            all.clear();
        }
        all.insert(digest.to_owned(), plugin.clone());
        Ok(plugin)
    }

    fn ended(&self, key: TaskKey, result: TaskResult) {
        let result = Box::new(result);
        if self.line.is_connected() {
            self.line.send(&FromRunner::Ended { key, result: result.clone() });
        }
        self.tasks.borrow_mut().insert(key, Held::Ended(result));
        self.moved.notify_waiters();
    }

    fn stop(&self, key: TaskKey, stop: Stop) {
        if let Some(Held::Running { stop: asked, .. }) = self.tasks.borrow().get(&key) {
            asked.send_if_modified(|asked| asked.is_none() && asked.replace(stop).is_none());
        }
    }

    /// Ends everything that runs, because the runner ends.
    fn stop_all(&self) {
        self.tasks().into_iter().for_each(|key| self.stop(key, Stop::AgentEnds));
    }

    /// Results are safe with the agent.
    fn taken(&self, keys: &[TaskKey]) {
        let mut tasks = self.tasks.borrow_mut();
        for key in keys {
            if let Some(Held::Ended(_)) = tasks.get(key) {
                tasks.remove(key);
            }
        }
        self.moved.notify_waiters();
    }

    fn lines_taken(&self, batches: &[u64]) {
        let mut spool = self.spool.borrow_mut();
        batches.iter().for_each(|batch| spool.taken(*batch));
        self.pour.notify_one();
        self.moved.notify_waiters();
    }

    fn stored(&self, key: TaskKey, done: bool) {
        if let Some(Held::Running { outlet, .. }) = self.tasks.borrow().get(&key) {
            outlet.stored(done);
        }
    }

    fn store_properties(&self, key: TaskKey, unstored: &Map<String, Value>) {
        if let Some(Held::Running { outlet, .. }) = self.tasks.borrow().get(&key) {
            outlet.send_properties(self, unstored);
        }
    }

    /// Tells a new connection what it may have missed.
    fn say_again(&self) {
        for (key, held) in &*self.tasks.borrow() {
            match held {
                Held::Running { outlet, .. } => {
                    outlet.say_started(self);
                    crate::runner::Outlet::properties(&**outlet);
                }
                Held::Ended(result) => self.line.send(&FromRunner::Ended { key: *key, result: result.clone() }),
            }
        }
        self.pour.notify_one();
    }

    fn disconnected(&self) {
        self.line.disconnect();
        self.spool.borrow_mut().take_back();
        for held in self.tasks.borrow().values() {
            if let Held::Running { outlet, .. } = held {
                outlet.disconnected();
            }
        }
        self.moved.notify_waiters();
    }

    /// Kills what an earlier life of the runner left of tasks.
    async fn sweep(&self, left: &[LeftOver]) {
        for task in left {
            if let Some(process) = task.process
                && procfs::stat(process.pid).is_some_and(|stat| stat.start_ticks == process.start_ticks)
            {
                killer::kill_tree(nix::unistd::Pid::from_raw(process.pid));
            }
        }
        let tasks = left.iter().map(|task| task.task_id.to_string()).collect();
        killer::kill_marked(&self.host.agent, &[(TASK_MARK, tasks)]).await;
    }

    /// Waits until `is_so`, or until the deadline.
    async fn wait_until(&self, deadline: tokio::time::Instant, is_so: impl Fn(&Self) -> bool) {
        loop {
            let moved = self.moved.notified();
            if is_so(self) || tokio::time::timeout_at(deadline, moved).await.is_err() {
                return;
            }
        }
    }
}

/// What persistent processes of this folder are known by, drawn once.
fn instance(file: &PathBuf) -> io::Result<String> {
    match std::fs::read_to_string(file) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(_) | Err(_) => {}
    }
    let instance = new_token();
    std::fs::write(file, &instance)?;
    Ok(instance)
}
