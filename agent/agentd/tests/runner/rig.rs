//! A host with a plugin, and everything its tasks said.

use std::cell::RefCell;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant};

use conductor_agent::ctx::{Manager, server};
use conductor_agent::policy::PolicyFile;
use conductor_agent::runner::environment::TASK_MARK;
use conductor_agent::runner::job::new_token;
use conductor_agent::runner::{BaseEnvironment, Ending, Folders, Host, Job, Outlet, Plugin, Stop, Voice, oneshot, persistent};
use conductor_agent::sys::procfs;
use conductor_agent::sys::reaper::Reaper;
use conductor_agent_core::{ProcessMark, TaskKey};
use conductor_agent_log::Mask;
use conductor_model::definition::ResourceLimits;
use conductor_model::{LogStream, TaskId, TenantName};
use conductor_plugin::Mode;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::task::LocalSet;

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Keeps what a task says.
#[derive(Debug, Default)]
pub struct Ears {
    pub lines: RefCell<Vec<(LogStream, String)>>,
    pub bytes: RefCell<usize>,
    pub progress: RefCell<Vec<Option<f64>>>,
    pub begun: RefCell<bool>,
    pub process: RefCell<Option<ProcessMark>>,
}

impl Outlet for Ears {
    fn log(&self, stream: LogStream, text: String) {
        *self.bytes.borrow_mut() += text.len();
        self.lines.borrow_mut().push((stream, text));
    }

    fn progress(&self, percent: Option<f64>, _: Option<String>) {
        self.progress.borrow_mut().push(percent);
    }

    fn started(&self, process: Option<ProcessMark>) {
        *self.begun.borrow_mut() = true;
        *self.process.borrow_mut() = process;
    }

    fn properties(&self) {}
}

/// A task that ended.
#[derive(Debug)]
pub struct Ended {
    pub ending: Ending,
    pub task_id: String,
    pub output: Map<String, Value>,
    pub properties: Map<String, Value>,
    pub ears: Rc<Ears>,
    pub took: Duration,
}

impl Ended {
    /// All lines of one stream.
    pub fn lines(&self, stream: LogStream) -> Vec<String> {
        self.ears.lines.borrow().iter().filter(|(from, _)| *from == stream).map(|(_, text)| text.clone()).collect()
    }

    pub fn reason(&self) -> &str {
        self.ending.reason.as_deref().unwrap_or_default()
    }
}

/// How a task is run.
#[derive(Clone, Debug)]
pub struct How {
    pub input: Value,
    pub timeout: Option<Duration>,
    pub grace: Duration,
    pub limits: ResourceLimits,
}

impl Default for How {
    fn default() -> Self {
        Self { input: json!({}), timeout: Some(PATIENCE), grace: Duration::from_millis(200), limits: ResourceLimits::default() }
    }
}

/// A host.
pub struct Rig {
    pub host: Rc<Host>,
    _dir: tempfile::TempDir,
}

/// The fixture plugins.
pub fn plugin(name: &str) -> Rc<Plugin> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/plugins").join(name).canonicalize().unwrap();
    Rc::new(conductor_agent::plugins::load(&dir, name).unwrap())
}

/// Runs a story on a host of its own.
pub fn on_a_host<F: Future<Output = ()>>(story: impl FnOnce(Rc<Rig>) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let rig = Rc::new(Rig::new());
        story(rig).await;
    });
}

impl Rig {
    fn new() -> Self {
        nix::sys::prctl::set_child_subreaper(true).unwrap();
        conductor_agent::sys::descriptors::keep_private().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders { data: dir.path().to_owned() };
        for folder in [folders.work(), folders.state(), folders.bin()] {
            std::fs::create_dir_all(folder).unwrap();
        }
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_conductor-agent"), folders.bin().join("ctx")).unwrap();
        let incarnation = new_token();
        let socket = server::socket_path(&folders.data, &incarnation);
        let host = Rc::new(Host {
            agent: "agent-1".into(),
            incarnation,
            reaper: Reaper::start(false).unwrap(),
            environment: BaseEnvironment::of_process("agent-1", &folders.bin(), &folders.state(), &socket),
            policy: PolicyFile::new(folders.data.join("policy.toml")),
            folders,
            work_dirs: Default::default(),
            scratch: Default::default(),
            pools: Default::default(),
            speakers: Default::default(),
            manager: Manager::Alone(RefCell::default()),
            cgroups: None,
        });
        let listener = server::listen(&socket).unwrap();
        tokio::task::spawn_local(server::serve(listener, Rc::downgrade(&host)));
        Self { host, _dir: dir }
    }

    /// Begins a task; it runs while the test goes on.
    pub fn begin(self: &Rc<Self>, plugin: &Rc<Plugin>, operation: &str, how: &How) -> Begun {
        let task_id = TaskId(uuid::Uuid::from_u128(rand::random()));
        let ears = Rc::new(Ears::default());
        let (stop, stop_asked) = watch::channel(None);
        let job = Rc::new(Job {
            key: TaskKey { task_id, dispatch: 1 },
            task_id: task_id.to_string(),
            workflow_id: "w".into(),
            reference: "r".into(),
            attempt: 0,
            tenant: TenantName::default_tenant(),
            plugin: plugin.clone(),
            operation: operation.into(),
            input: serde_json::value::to_raw_value(&how.input).unwrap().into(),
            node_instance: "agent-1".into(),
            run_timeout: how.timeout,
            grace: how.grace,
            limits: how.limits.clone(),
            voice: Rc::new(Voice::new(ears.clone(), Mask::default())),
            stop: stop_asked,
        });
        let rig = self.clone();
        let running = job.clone();
        let started = Instant::now();
        let handle = tokio::task::spawn_local(async move {
            let job = running;
            let ending = match job.plugin.manifest.mode {
                Mode::Persistent => persistent::run(&rig.host, &job).await,
                Mode::OneShot | Mode::Script => oneshot::run(&rig.host, &job).await,
            };
            let took = started.elapsed();
            job.voice.finish_log();
            let mut said = job.voice.said.borrow_mut();
            let (output, properties) = (said.take_output(), std::mem::take(&mut said.properties));
            (ending, output, properties, took)
        });
        Begun { handle, stop, ears, job }
    }

    /// Runs a task to its end.
    pub async fn run_how(self: &Rc<Self>, plugin: &Rc<Plugin>, operation: &str, how: How) -> Ended {
        self.begin(plugin, operation, &how).end().await
    }

    /// Runs a task of `misbehave` to its end.
    pub async fn run(self: &Rc<Self>, operation: &str) -> Ended {
        self.run_how(&plugin("misbehave"), operation, How::default()).await
    }
}

/// Ending, output, properties and how long it took.
type Told = (Ending, Map<String, Value>, Map<String, Value>, Duration);

/// A task that runs.
pub struct Begun {
    handle: tokio::task::JoinHandle<Told>,
    stop: watch::Sender<Option<Stop>>,
    pub ears: Rc<Ears>,
    pub job: Rc<Job>,
}

impl Begun {
    pub fn cancel(&self) {
        self.stop.send_replace(Some(Stop::Cancelled("nobody wants it".into())));
    }

    pub async fn end(self) -> Ended {
        let (ending, output, properties, took) = tokio::time::timeout(PATIENCE, self.handle).await.unwrap().unwrap();
        Ended { ending, task_id: self.job.task_id.clone(), output, properties, ears: self.ears, took }
    }

    /// Waits until the task has said this.
    pub async fn has_said(&self, text: &str) {
        until(|| self.ears.lines.borrow().iter().any(|(_, line)| line.contains(text))).await;
    }
}

/// Waits for a condition.
pub async fn until(is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "it did not come about");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Living processes that bear a task's mark.
pub fn alive(task_id: &str) -> Vec<i32> {
    let marked = |pid: &i32| procfs::environ_value(*pid, TASK_MARK).as_deref() == Some(task_id);
    let lives = |pid: &i32| procfs::stat(*pid).is_some_and(|stat| stat.state != 'Z');
    procfs::all_pids().into_iter().filter(marked).filter(lives).collect()
}

/// A folder that a test may use.
pub fn folder() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    (dir, path)
}

/// What [`alive`] says when nothing is left.
pub const NOBODY: [i32; 0] = [];
