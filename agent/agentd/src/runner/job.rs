//! What is run: a task, its plugin and the host's part in it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use conductor_agent_core::TaskKey;
use conductor_model::TenantName;
use conductor_model::definition::ResourceLimits;
use conductor_plugin::{Manifest, Operation};
use rand::Rng;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::watch;

use super::ending::Stop;
use super::environment::{BaseEnvironment, Folders};
use super::persistent::Pools;
use super::pipes::Scratch;
use super::voice::Voice;
use super::work_dir::WorkDirs;
use crate::ctx::Manager;
use crate::policy::PolicyFile;
use crate::sys::cgroup::Cgroups;
use crate::sys::reaper::Reaper;

/// An installed plugin.
#[derive(Debug)]
pub struct Plugin {
    /// Where it lies.
    pub dir: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// What its persistent processes are kept apart by.
    pub digest: String,
}

/// The host's part: one for the whole agent.
#[derive(Debug)]
pub struct Host {
    /// The agent's id.
    pub agent: String,
    /// Which life of the agent's data folder this is.
    pub incarnation: String,
    /// Waits for processes.
    pub reaper: Reaper,
    /// Variables that all plugins see.
    pub environment: BaseEnvironment,
    /// Where things lie.
    pub folders: Folders,
    /// Working directories.
    pub work_dirs: WorkDirs,
    /// Read buffer.
    pub scratch: Scratch,
    /// Processes of persistent plugins.
    pub pools: Pools,
    /// For which task a process speaks that shows this token.
    pub speakers: RefCell<HashMap<String, Rc<Job>>>,
    /// Whom instances are read from and files stored with.
    pub manager: Manager,
    /// What the host lets run.
    pub policy: PolicyFile,
    /// Control groups for tasks, where the runner has one of its own.
    pub cgroups: Option<Cgroups>,
}

/// A token that nobody guesses.
#[must_use]
pub fn new_token() -> String {
    hex::encode(rand::rng().random::<[u8; 16]>())
}

/// One task to run.
#[derive(Debug)]
pub struct Job {
    /// Which.
    pub key: TaskKey,
    /// The task's id as text.
    pub task_id: String,
    /// The workflow it belongs to.
    pub workflow_id: String,
    /// Reference name of the step.
    pub reference: String,
    /// Attempts made before.
    pub attempt: u32,
    /// The plugin.
    pub plugin: Rc<Plugin>,
    /// The operation's name.
    pub operation: String,
    /// Its input.
    pub input: Arc<RawValue>,
    /// The node instance that it works on.
    pub node_instance: String,
    /// Longest run.
    pub run_timeout: Option<Duration>,
    /// From TERM to KILL.
    pub grace: Duration,
    /// What it may use.
    pub limits: ResourceLimits,
    /// Owner.
    pub tenant: TenantName,
    /// What is said of it.
    pub voice: Rc<Voice>,
    /// Says when it is to be ended.
    pub stop: watch::Receiver<Option<Stop>>,
}

/// The task as its plugin reads it; see `conductor_wire::plugin_io::PluginTask`. The input passes unread.
#[derive(Serialize)]
struct TaskText<'a> {
    task_id: &'a str,
    workflow_id: &'a str,
    reference: &'a str,
    attempt: u32,
    operation: &'a str,
    input: &'a RawValue,
    node_instance: &'a str,
    agent: &'a str,
}

impl Job {
    /// The operation as the manifest describes it.
    #[must_use]
    pub fn described(&self) -> Option<&Operation> {
        self.plugin.manifest.operations.get(&self.operation)
    }

    /// Whether processes of the operation may stay.
    #[must_use]
    pub fn leaves_processes(&self) -> bool {
        self.described().is_some_and(|operation| operation.leaves_processes)
    }

    /// The task as one line of JSON.
    #[must_use]
    pub fn line(&self, agent: &str) -> Vec<u8> {
        let text = TaskText {
            task_id: &self.task_id,
            workflow_id: &self.workflow_id,
            reference: &self.reference,
            attempt: self.attempt,
            operation: &self.operation,
            input: &self.input,
            node_instance: &self.node_instance,
            agent,
        };
        let mut line = Vec::with_capacity(256 + self.input.get().len());
        if let Err(error) = serde_json::to_writer(&mut line, &text) {
            tracing::error!(%error, task.id = %self.task_id, "a task cannot be written as JSON");
        }
        // Raw JSON may have line ends between its tokens; inside strings they are escaped.
        for byte in &mut line {
            if *byte == b'\n' || *byte == b'\r' {
                *byte = b' ';
            }
        }
        line.push(b'\n');
        line
    }
}
