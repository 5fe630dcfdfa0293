//! One installation for one story.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use conductor_client::{Client, StartRequest, WorkflowView};
use conductor_model::WorkflowId;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::agent::{Agent, AgentSpec};
use crate::broker::{Node, VirtualHost};
use crate::effects::Effects;
use crate::manager::Manager;
use crate::raw::Raw;
use crate::sweep::{Found, processes_of};
use crate::wait::{Deadline, until};

/// Longest wait in seconds for an agent to be seen by the manager.
const AGENT_SECONDS: u64 = 60;

/// Longest time in seconds that a killed process may take to die.
const DYING_SECONDS: u64 = 5;
/// While this variable is set, logs are kept of stories that go well, too.
const KEEP: &str = "E2E_KEEP";

/// The environment of every piece: nothing of the tests' own but where programs are.
pub(crate) fn base_environment() -> Vec<(String, String)> {
    let mut variables: Vec<_> =
        ["PATH", "HOME", "LANG"].into_iter().filter_map(|name| Some((name.to_owned(), env::var(name).ok()?))).collect();
    // Bad days are read in the logs afterwards.
    let level = env::var("E2E_LOG").unwrap_or_else(|_| "info".to_owned());
    variables.push(("CONDUCTOR_LOG".to_owned(), level));
    variables
}

/// Where the stack's messages go.
#[derive(Debug)]
pub enum Broker {
    /// A virtual host of the shared node.
    Shared(VirtualHost),
    /// A node that may be killed.
    Own(Box<Node>),
}

/// What a stack is made of.
#[derive(Debug, Default)]
pub struct StackOptions {
    agents: Vec<AgentSpec>,
    own_broker: bool,
    settings: Vec<(String, String)>,
}

impl StackOptions {
    /// An agent more.
    #[must_use]
    pub fn agent(mut self, spec: AgentSpec) -> Self {
        self.agents.push(spec);
        self
    }

    /// A RabbitMQ node of its own, to be killed.
    #[must_use]
    pub fn own_broker(mut self) -> Self {
        self.own_broker = true;
        self
    }

    /// A setting of the manager, as in `("LEASE__LEASE_MS", "1500")`.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((format!("CONDUCTOR_{name}"), value.to_owned()));
        self
    }

    /// Short leases: an agent that is away is given up after `lease_ms`.
    #[must_use]
    pub fn lease(self, interval_ms: u64, lease_ms: u64) -> Self {
        self.setting("LEASE__INTERVAL_MS", &interval_ms.to_string()).setting("LEASE__LEASE_MS", &lease_ms.to_string())
    }

    /// Brings it up: when this returns, the manager answers, every agent is active and the plugin `work` is there.
    pub async fn start(self) -> Stack {
        let folder = tempfile::Builder::new().prefix("conductor-story-").tempdir().expect("a folder can be made");
        let (broker, url) = if self.own_broker {
            let node = Node::start(&folder.path().join("rabbitmq"), &[]);
            let url = node.url("%2f");
            (Broker::Own(Box::new(node)), url)
        } else {
            let vhost = VirtualHost::take();
            let url = vhost.url().to_owned();
            (Broker::Shared(vhost), url)
        };
        let manager = Manager::new(folder.path(), &url, &self.settings);
        let effects = Effects::new(folder.path());
        let mut stack = Stack { agents: Vec::new(), manager, broker, effects, folder: Some(folder) };
        stack.manager.start().await;
        stack.client().upload_plugin(stack.effects.plugin(), "application/gzip").await.expect("the plugin can be uploaded");
        for spec in self.agents {
            stack.spawn_agent(spec);
        }
        let ids: Vec<String> = stack.agents.iter().map(|agent| agent.id().to_owned()).collect();
        for id in ids {
            stack.wait_for_agent(&id, "active").await;
        }
        stack
    }
}

/// A running installation. Dropping it takes everything down and fails when a process is left behind.
#[derive(Debug)]
pub struct Stack {
    /// Its agents.
    pub agents: Vec<Agent>,
    /// Its manager.
    pub manager: Manager,
    /// Its broker.
    pub broker: Broker,
    /// What the operations of the plugin `work` did.
    pub effects: Effects,
    folder: Option<TempDir>,
}

impl Stack {
    /// What to make one of.
    #[must_use]
    pub fn options() -> StackOptions {
        StackOptions::default()
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.as_ref().map_or_else(|| Path::new("/"), TempDir::path)
    }

    /// A typed client.
    #[must_use]
    pub fn client(&self) -> Client {
        self.manager.client()
    }

    /// A client that sends anything.
    #[must_use]
    pub fn raw(&self) -> Raw {
        self.manager.raw()
    }

    /// The address of its broker, as its manager uses it.
    #[must_use]
    pub fn broker_url(&self) -> String {
        match &self.broker {
            Broker::Own(node) => node.url("%2f"),
            Broker::Shared(vhost) => vhost.url().to_owned(),
        }
    }

    /// The stack's own RabbitMQ.
    ///
    /// # Panics
    /// When it has none.
    pub fn node(&mut self) -> &mut Node {
        match &mut self.broker {
            Broker::Own(node) => node,
            Broker::Shared(_) => panic!("this stack has no RabbitMQ of its own"),
        }
    }

    /// Starts another agent; does not wait.
    pub fn spawn_agent(&mut self, spec: AgentSpec) {
        let mut agent = Agent::new(spec, self.folder(), &self.manager.url(), &self.manager.token());
        agent.start();
        self.agents.push(agent);
    }

    /// One of its agents.
    ///
    /// # Panics
    /// When there is none of that id.
    pub fn agent(&mut self, id: &str) -> &mut Agent {
        self.agents.iter_mut().find(|agent| agent.id() == id).unwrap_or_else(|| panic!("there is no agent {id}"))
    }

    /// Waits until the manager says that an agent is in `state`.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn wait_for_agent(&mut self, id: &str, state: &str) {
        let client = self.client();
        until(&format!("{id} is {state}"), AGENT_SECONDS, async || {
            self.agents.iter_mut().for_each(Agent::assert_running);
            let agents = client.agents().await.map_err(|error| error.to_string())?;
            let found = agents.into_iter().find(|agent| agent.id == id).map(|agent| agent.state);
            if found.as_deref() == Some(state) { Ok(()) } else { Err(format!("{found:?}")) }
        })
        .await;
    }

    /// Stores definitions.
    ///
    /// # Panics
    /// When one is refused.
    pub async fn define(&self, tasks: &[Value], workflows: &[Value]) {
        let client = self.client();
        if !tasks.is_empty() {
            client.put_task_defs(tasks).await.expect("the task definitions are right");
        }
        let answer = client.put_workflow_defs(workflows).await.expect("the workflow definitions are right");
        assert!(answer.bulk_error_results.is_empty(), "{answer:?}");
    }

    /// Uploads a plugin from a folder.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn upload(&self, folder: &Path) {
        let uploaded = self.client().upload_plugin(crate::pack(folder), "application/gzip").await;
        uploaded.unwrap_or_else(|error| panic!("{} is refused: {error}", folder.display()));
    }

    /// Starts a workflow.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn run(&self, name: &str, input: Value) -> WorkflowId {
        let input = match input {
            Value::Object(input) => input,
            _ => Map::new(),
        };
        let request = StartRequest { name: name.to_owned(), input, ..StartRequest::default() };
        self.client().start(&request).await.expect("the workflow can be started")
    }

    /// Waits until a workflow is over; what it looks like then, with its tasks.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn wait_for_end(&self, id: WorkflowId, seconds: u64) -> WorkflowView {
        let client = self.client();
        until(&format!("workflow {id} is over"), seconds, async || {
            let view = client.workflow(&id.to_string(), true).await.map_err(|error| error.to_string())?;
            if view.status.is_terminal() { Ok(view) } else { Err(summary(&view)) }
        })
        .await
    }

    /// Waits until the newest attempt at a step satisfies `is_so`; that attempt.
    ///
    /// # Panics
    /// At the deadline.
    pub async fn wait_for_task(
        &self,
        id: WorkflowId,
        reference: &str,
        seconds: u64,
        is_so: impl Fn(&conductor_client::TaskView) -> bool,
    ) -> conductor_client::TaskView {
        let client = self.client();
        until(&format!("{reference} is as expected"), seconds, async || {
            let view = client.workflow(&id.to_string(), true).await.map_err(|error| error.to_string())?;
            let newest = view.tasks.iter().rfind(|task| task.reference_task_name == reference);
            newest.filter(|task| is_so(task)).cloned().ok_or_else(|| summary(&view))
        })
        .await
    }

    /// The repository's folder.
    #[must_use]
    pub fn repository() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }
}

/// Where a workflow stands, on a few lines.
fn summary(view: &WorkflowView) -> String {
    let mut text = format!("{:?} {:?}", view.status, view.reason_for_incompletion);
    for task in &view.tasks {
        text += &format!(
            "\n  {} #{} {:?} {:?} {:?}",
            task.reference_task_name, task.retry_count, task.status, task.worker_id, task.reason_for_incompletion
        );
    }
    text
}

/// What still runs of a stack that was taken down, and goes on doing so.
fn left_behind(folder: &Path) -> Vec<Found> {
    let deadline = Deadline::in_seconds(DYING_SECONDS);
    loop {
        let mut left = processes_of(folder);
        // The node's port mapper and its helpers go with the node, after this.
        left.retain(|found| !found.command.contains("epmd") && !found.command.contains("erl_child_setup"));
        if left.is_empty() || deadline.is_over() {
            return left;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        // Agents first, all at once, while there is somebody to report to.
        self.agents.iter().for_each(Agent::ask_to_end);
        self.agents.iter_mut().for_each(Agent::put_down);
        self.manager.put_down();
        if let Broker::Own(node) = &mut self.broker {
            node.kill9();
        }
        let Some(folder) = self.folder.take() else { return };
        let left = left_behind(folder.path());
        for found in &left {
            let _ = kill(Pid::from_raw(found.pid), Signal::SIGKILL);
        }
        if failed || !left.is_empty() || env::var_os(KEEP).is_some() {
            let path = folder.keep();
            eprintln!("the logs of this story are in {}", path.display());
            assert!(failed || left.is_empty(), "processes were left behind: {left:#?}");
        } else if let Err(error) = folder.close() {
            // A node that is just dying may still write.
            eprintln!("the story's folder cannot be removed: {error}");
        }
    }
}
