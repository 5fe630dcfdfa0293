//! The runner as a process, with a story in the agent's place.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use conductor_agent::runner_link::frames::{Incoming, Outgoing};
use conductor_agent::runner_link::message::{
    AgentGreeting, FromRunner, Order, RUNNER_PROTOCOL, RunnerGreeting, Taken, ToRunner,
};
use conductor_agent_core::{TaskKey, TaskResult};
use conductor_model::{LogLine, Outcome, TaskId, TenantName, WorkflowId};
use serde_json::json;
use tokio::net::UnixStream;
use tokio::task::LocalSet;
use tokio::time::timeout;

use crate::rig::PATIENCE;

/// A runner in a folder of its own.
struct Runner {
    dir: tempfile::TempDir,
    child: Child,
}

impl Runner {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_conductor-agent"))
            .args(["runner", "--detach", "--socket"])
            .arg(dir.path().join("sock"))
            .arg("--data-dir")
            .arg(dir.path().join("data"))
            .arg("--policy")
            .arg(dir.path().join("policy.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { dir, child }
    }

    fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// A plugin whose operation `speak` runs `script`.
    fn plugin(&self, script: &str) -> PathBuf {
        let dir = self.dir.path().join("plugin");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("plugin.yaml"), "name: p\nversion: 1.0.0\nentrypoint: run.sh\noperations: {speak: {}}\n")
            .unwrap();
        std::fs::write(dir.join("run.sh"), format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(dir.join("run.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        dir
    }

    async fn connect(&self) -> Agent {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(agent) = Agent::connect(&self.dir.path().join("sock")).await {
                return agent;
            }
            assert!(std::time::Instant::now() < deadline, "the runner does not answer");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

struct Agent {
    incoming: Incoming,
    outgoing: Rc<Outgoing>,
    pump: tokio::task::JoinHandle<()>,
    greeting: RunnerGreeting,
    /// Lines that came, and the batches that they came in.
    lines: Vec<LogLine>,
    batches: Vec<u64>,
}

impl Agent {
    async fn connect(socket: &Path) -> Option<Self> {
        let (read, write) = UnixStream::connect(socket).await.ok()?.into_split();
        let mut incoming = Incoming::new(read);
        let outgoing = Rc::new(Outgoing::default());
        let writing = outgoing.clone();
        let pump = tokio::task::spawn_local(async move { drop(writing.pump(write).await) });
        outgoing.send(&ToRunner::Hello(AgentGreeting { protocol: RUNNER_PROTOCOL, agent: "agent-1".parse().unwrap() }));
        match timeout(PATIENCE, incoming.next()).await.ok()?.ok()?? {
            FromRunner::Hello(greeting) => {
                Some(Self { incoming, outgoing, pump, greeting, lines: Vec::new(), batches: Vec::new() })
            }
            other => panic!("{other:?}"),
        }
    }

    fn start(&self, plugin: &Path) -> TaskKey {
        let key = TaskKey { task_id: TaskId(uuid::Uuid::from_u128(rand::random())), dispatch: 1 };
        self.outgoing.send(&ToRunner::Start(Box::new(Order {
            key,
            workflow_id: WorkflowId(uuid::Uuid::nil()),
            tenant: TenantName::default_tenant(),
            reference: "r".into(),
            attempt: 0,
            plugin_dir: plugin.to_owned(),
            plugin_digest: "0".into(),
            operation: "speak".into(),
            input: serde_json::value::to_raw_value(&json!({})).unwrap().into(),
            secrets: vec!["hunter2".into()],
            node_instance: "agent-1".into(),
            run_timeout_ms: Some(60_000),
            grace_ms: 200,
            limits: None,
        })));
        key
    }

    /// Hears everything up to a task's end.
    async fn end_of(&mut self, wanted: TaskKey) -> TaskResult {
        loop {
            match timeout(PATIENCE, self.incoming.next()).await.unwrap().unwrap().unwrap() {
                FromRunner::Ended { key, result } if key == wanted => return *result,
                FromRunner::Lines(lines) => {
                    self.lines.extend(serde_json::from_str::<Vec<LogLine>>(lines.lines.get()).unwrap());
                    self.batches.push(lines.batch);
                }
                _ => {}
            }
        }
    }

    async fn has_lines(&mut self, count: usize) {
        while self.lines.len() < count {
            if let FromRunner::Lines(lines) = timeout(PATIENCE, self.incoming.next()).await.unwrap().unwrap().unwrap() {
                self.lines.extend(serde_json::from_str::<Vec<LogLine>>(lines.lines.get()).unwrap());
                self.batches.push(lines.batch);
            }
        }
    }

    async fn take(&self, ended: Vec<TaskKey>) {
        self.outgoing.send(&ToRunner::Taken(Taken { ended, lines: self.batches.clone() }));
        self.outgoing.flushed().await;
    }

    /// As if it were killed.
    async fn die(self) {
        self.pump.abort();
        drop(self.pump.await);
    }
}

fn with_a_runner<F: Future<Output = ()>>(story: impl FnOnce(Runner) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, story(Runner::start()));
}

#[test]
fn what_an_agent_did_not_take_is_told_to_the_next() {
    with_a_runner(|runner| async move {
        let plugin =
            runner.plugin("echo one; echo two; while ! [ -e \"$CONDUCTOR_PLUGIN_DIR/gate\" ]; do sleep 0.02; done; echo three");
        let mut first = runner.connect().await;
        assert!(first.greeting.tasks.is_empty());
        let key = first.start(&plugin);
        first.has_lines(2).await;
        first.take(Vec::new()).await;
        let life = first.greeting.life.clone();
        first.die().await;
        std::fs::write(plugin.join("gate"), "").unwrap();

        let mut second = runner.connect().await;
        assert_eq!((second.greeting.tasks.as_slice(), &second.greeting.life), ([key].as_slice(), &life));
        let result = second.end_of(key).await;
        assert_eq!((result.finished.outcome, result.finished.log_lines), (Outcome::Succeeded, 3));
        second.has_lines(1).await;
        second.die().await;

        let mut third = runner.connect().await;
        assert_eq!(third.greeting.tasks, [key], "it was not taken");
        assert_eq!(third.end_of(key).await.finished.outcome, Outcome::Succeeded);
        third.has_lines(1).await;
        let lines: Vec<_> = third.lines.iter().map(|line| (line.seq, line.text.as_str())).collect();
        assert_eq!(lines, [(3, "three")], "what was taken is not told again, and what was not is");
        third.take(vec![key]).await;
        third.die().await;
        assert!(runner.connect().await.greeting.tasks.is_empty());
    });
}

#[test]
fn a_runner_replaces_its_program_when_no_task_runs_and_forgets_nothing() {
    with_a_runner(|runner| async move {
        let plugin = runner.plugin("echo hello; while ! [ -e \"$CONDUCTOR_PLUGIN_DIR/gate\" ]; do sleep 0.02; done");
        let mut agent = runner.connect().await;
        let key = agent.start(&plugin);
        agent.has_lines(1).await;
        let life = agent.greeting.life.clone();
        runner.signal(nix::sys::signal::Signal::SIGHUP);
        std::fs::write(plugin.join("gate"), "").unwrap();
        assert_eq!(agent.end_of(key).await.finished.outcome, Outcome::Succeeded, "the task went on");
        // Its connection ends with the old program.
        while let Some(_message) = timeout(PATIENCE, agent.incoming.next::<FromRunner>()).await.unwrap().unwrap() {}
        let mut next = runner.connect().await;
        assert_eq!(next.greeting.life, life);
        assert_eq!(next.greeting.tasks, [key]);
        assert_eq!(next.end_of(key).await.finished.outcome, Outcome::Succeeded);
        next.has_lines(1).await;
        assert_eq!(next.lines[0].text, "hello");
        assert!(!agent.batches.contains(&next.batches[0]), "a number is not given twice");
    });
}

#[test]
fn a_runner_that_could_not_put_things_by_replaces_its_program_later() {
    with_a_runner(|runner| async move {
        let plugin = runner.plugin("echo hello");
        let mut agent = runner.connect().await;
        let key = agent.start(&plugin);
        assert_eq!(agent.end_of(key).await.finished.outcome, Outcome::Succeeded);
        // A folder lies where it writes.
        let in_the_way = runner.dir.path().join("data/kept.new");
        std::fs::create_dir(&in_the_way).unwrap();
        runner.signal(nix::sys::signal::Signal::SIGHUP);
        let spool = runner.dir.path().join("data").join("agent-1").join("spool");
        let deadline = std::time::Instant::now() + PATIENCE;
        while std::fs::read_dir(&spool).unwrap().count() == 0 {
            assert!(std::time::Instant::now() < deadline, "it does not put anything by");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        std::fs::remove_dir(&in_the_way).unwrap();
        while let Some(_message) = timeout(PATIENCE, agent.incoming.next::<FromRunner>()).await.unwrap().unwrap() {}
        let mut next = runner.connect().await;
        assert_eq!(next.greeting.life, agent.greeting.life);
        assert_eq!(next.end_of(key).await.finished.outcome, Outcome::Succeeded);
        next.has_lines(1).await;
    });
}

#[test]
fn the_runner_itself_heeds_the_hosts_policy() {
    with_a_runner(|runner| async move {
        std::fs::write(runner.dir.path().join("policy.toml"), "[deny]\noperations = ['p.speak']\n").unwrap();
        let plugin = runner.plugin("touch \"$CONDUCTOR_PLUGIN_DIR/ran\"");
        let mut agent = runner.connect().await;
        let key = agent.start(&plugin);
        let finished = agent.end_of(key).await.finished;
        assert_eq!(finished.outcome, Outcome::Refused);
        assert_eq!(finished.reason.as_deref(), Some("this host's policy forbids operation p.speak (deny.operations: p.speak)"));
        assert!(!plugin.join("ran").exists());
    });
}

#[test]
fn secrets_do_not_leave_the_host_in_words() {
    with_a_runner(|runner| async move {
        let script = r#"echo "login hunter2"; echo "{\"type\":\"log\",\"message\":\"as hunter2\"}" >&3; echo "denied: hunter2" >&2; exit 1"#;
        let plugin = runner.plugin(script);
        let mut agent = runner.connect().await;
        let key = agent.start(&plugin);
        let finished = agent.end_of(key).await.finished;
        assert_eq!(finished.reason.as_deref(), Some("the process exited with code 1: denied: ***"));
        agent.has_lines(3).await;
        let mut lines: Vec<_> = agent.lines.iter().map(|line| line.text.as_str()).collect();
        lines.sort_unstable();
        assert_eq!(lines, ["as ***", "denied: ***", "login ***"]);
    });
}
