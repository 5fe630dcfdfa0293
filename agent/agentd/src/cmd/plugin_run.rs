//! `conductor-agent plugin run`: one operation of one plugin, by hand, without a manager.

use std::cell::RefCell;
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use conductor_agent_core::{ProcessMark, TaskKey};
use conductor_agent_log::Mask;
use conductor_model::{LogStream, Outcome, TaskId, TenantName};
use conductor_plugin::Mode;
use serde_json::value::to_raw_value;
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::task::LocalSet;

use super::{Exit, fail, runtime};
use crate::ctx::{Manager, server};
use crate::policy::PolicyFile;
use crate::runner::job::new_token;
use crate::runner::{BaseEnvironment, Ending, Folders, Host, Job, Outlet, Stop, Voice, oneshot, persistent};
use crate::sys::reaper::Reaper;
use crate::{daemon, plugins};

/// From TERM to KILL when it is interrupted.
const GRACE: Duration = Duration::from_secs(5);

/// Flags of `plugin run`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The plugin's folder
    dir: PathBuf,
    /// The operation
    operation: String,
    /// The input: a JSON object, or @FILE with one
    #[arg(long, value_name = "JSON", default_value = "{}")]
    input: String,
    /// Sets one key of the input; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Longest run in seconds
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

/// Shows everything on the terminal.
#[derive(Debug)]
struct Terminal;

impl Outlet for Terminal {
    fn log(&self, stream: LogStream, text: String) {
        let name = match stream {
            LogStream::Stdout => "out",
            LogStream::Stderr => "err",
            LogStream::Event | LogStream::Worker => "log",
        };
        // A closed terminal is no reason to end the task.
        let _ = writeln!(std::io::stderr().lock(), "{name} | {text}");
    }

    fn progress(&self, percent: Option<f64>, message: Option<String>) {
        let percent = percent.map(|percent| format!("{percent} %")).unwrap_or_default();
        let _ = writeln!(std::io::stderr().lock(), "... | {percent} {}", message.unwrap_or_default());
    }

    fn started(&self, _: Option<ProcessMark>) {}

    fn properties(&self) {}
}

pub(super) fn main(arguments: &Arguments) -> Exit {
    let input = match input(arguments) {
        Ok(input) => input,
        Err(reason) => {
            eprintln!("conductor-agent: {reason}");
            return Exit::Usage;
        }
    };
    let data = std::env::temp_dir().join(format!("conductor-plugin-run-{}", std::process::id()));
    let done = runtime().map(|runtime| LocalSet::new().block_on(&runtime, run(arguments, input, data.clone())));
    let _ = std::fs::remove_dir_all(&data);
    match done {
        Ok(exit) => exit,
        Err(error) => fail(&error),
    }
}

/// The input with `--set` put in, each value as JSON where it is JSON.
fn input(arguments: &Arguments) -> Result<Map<String, Value>, String> {
    let text = match arguments.input.strip_prefix('@') {
        Some(file) => std::fs::read_to_string(file).map_err(|error| format!("cannot read {file}: {error}"))?,
        None => arguments.input.clone(),
    };
    let mut input: Map<String, Value> =
        serde_json::from_str(&text).map_err(|error| format!("the input is not a JSON object: {error}"))?;
    for pair in &arguments.set {
        let (key, value) = pair.split_once('=').ok_or_else(|| format!("--set {pair:?}: expected KEY=VALUE"))?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
        input.insert(key.to_owned(), value);
    }
    Ok(input)
}

async fn run(arguments: &Arguments, input: Map<String, Value>, data: PathBuf) -> Exit {
    let plugin = match std::path::absolute(&arguments.dir).map(|dir| plugins::load(&dir, "by-hand")) {
        Ok(Ok(plugin)) => Rc::new(plugin),
        Ok(Err(error)) => return fail(&error),
        Err(error) => return fail(&error),
    };
    let folders = Folders { data };
    let host = match host(&folders) {
        Ok(host) => Rc::new(host),
        Err(error) => return fail(&error),
    };
    let socket = server::socket_path(&folders.data, &host.incarnation);
    match server::listen(&socket) {
        Ok(listener) => drop(tokio::task::spawn_local(server::serve(listener, Rc::downgrade(&host)))),
        Err(error) => return fail(&error),
    }
    let (stop, stop_asked) = watch::channel(None);
    tokio::task::spawn_local(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.send_replace(Some(Stop::Cancelled("interrupted".to_owned())));
        }
        // The sender must live as long as the task.
        std::future::pending::<()>().await;
    });
    let Ok(input) = to_raw_value(&input) else { return Exit::Usage };
    let task_id = TaskId(uuid::Uuid::from_u128(rand::random()));
    let job = Rc::new(Job {
        key: TaskKey { task_id, dispatch: 1 },
        task_id: task_id.to_string(),
        workflow_id: task_id.to_string(),
        reference: "by_hand".to_owned(),
        attempt: 0,
        tenant: TenantName::default_tenant(),
        plugin: plugin.clone(),
        operation: arguments.operation.clone(),
        input: input.into(),
        node_instance: host.agent.clone(),
        run_timeout: arguments.timeout.map(Duration::from_secs),
        grace: GRACE,
        limits: plugin.manifest.operations.get(&arguments.operation).and_then(|it| it.limits.clone()).unwrap_or_default(),
        voice: Rc::new(Voice::new(Rc::new(Terminal), Mask::default())),
        stop: stop_asked,
    });
    if job.described().is_none() {
        let known: Vec<_> = plugin.manifest.operations.keys().map(String::as_str).collect();
        eprintln!("conductor-agent: the plugin has no operation {:?}; it has {}", arguments.operation, known.join(", "));
        return Exit::Usage;
    }
    let ending = match plugin.manifest.mode {
        Mode::Persistent => persistent::run(&host, &job).await,
        Mode::OneShot | Mode::Script => oneshot::run(&host, &job).await,
    };
    host.pools.close();
    show(&host, &job, &ending).await
}

fn host(folders: &Folders) -> std::io::Result<Host> {
    for folder in [folders.work(), folders.state(), folders.bin()] {
        std::fs::create_dir_all(folder)?;
    }
    daemon::link_ctx(&folders.bin());
    let agent = "by-hand";
    let incarnation = new_token();
    let socket = server::socket_path(&folders.data, &incarnation);
    // Without it orphans of the plugin are not found; it still runs.
    let _ = nix::sys::prctl::set_child_subreaper(true);
    Ok(Host {
        agent: agent.to_owned(),
        incarnation,
        reaper: Reaper::start(true)?,
        environment: BaseEnvironment::of_process(agent, &folders.bin(), &folders.state(), &socket),
        folders: folders.clone(),
        work_dirs: Default::default(),
        scratch: Default::default(),
        pools: Default::default(),
        speakers: Default::default(),
        manager: Manager::Alone(RefCell::default()),
        // Whoever runs it by hand could run it without us.
        policy: PolicyFile::new(PathBuf::new()),
        cgroups: None,
    })
}

/// Prints outcome, output and runtime properties as JSON.
async fn show(host: &Host, job: &Job, ending: &Ending) -> Exit {
    let properties = std::mem::take(&mut job.voice.said.borrow_mut().properties);
    let _ = host.manager.merge(&job.node_instance, &properties).await;
    let properties = host.manager.properties(&job.node_instance).await.unwrap_or_default();
    job.voice.finish_log();
    let shown = serde_json::json!({
        "outcome": ending.outcome,
        "reason": ending.reason,
        "exit_code": ending.exit_code,
        "output": job.voice.said.borrow_mut().take_output(),
        "runtime_properties": properties,
    });
    println!("{shown:#}");
    match ending.outcome {
        Outcome::Succeeded | Outcome::NotNeeded => Exit::Done,
        Outcome::Failed
        | Outcome::FailedTerminally
        | Outcome::TimedOut
        | Outcome::Cancelled
        | Outcome::Lost
        | Outcome::OutOfMemory
        | Outcome::Refused => Exit::Failed,
    }
}
