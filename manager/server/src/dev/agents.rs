//! The stack's agents: child processes that are started again when they die.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use super::DevError;
use super::backoff::Backoff;
use super::folder::Folder;
use super::leftovers;
use super::pids::Pids;

/// An agent that is asked to stop finishes or hands back what it has.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// Variables with this prefix are settings of the manager, which an agent would refuse.
const OWN_VARIABLES: &str = "CONDUCTOR_";
/// Except this one, which sets the level of both their logs.
const LOG_VARIABLE: &str = "CONDUCTOR_LOG";

/// How to start one agent.
#[derive(Clone, Debug)]
pub(super) struct AgentPlan {
    pub(super) id: String,
    pub(super) program: PathBuf,
    pub(super) manager: String,
    pub(super) token: String,
    pub(super) labels: Vec<String>,
    pub(super) slots: Option<u32>,
    pub(super) data_dir: PathBuf,
    pub(super) log: PathBuf,
}

impl AgentPlan {
    fn pid_file(&self) -> PathBuf {
        self.data_dir.join("dev.pid")
    }

    /// Ends the agent of an earlier stack in this folder: two cannot share it.
    pub(super) fn end_leftover(&self) {
        leftovers::end(&self.pid_file(), &self.data_dir.display().to_string());
    }
}

/// Plans agents `agent-1` to `agent-N`. With three or more the last one is kept free of web work, so that a workflow can
/// tell hosts apart.
pub(super) fn plans(
    count: usize,
    program: &std::path::Path,
    manager: &str,
    token: &str,
    slots: Option<u32>,
    folder: &Folder,
) -> Vec<AgentPlan> {
    let plan = |number: usize| {
        let id = format!("agent-{number}");
        let role = if count >= 3 && number == count { "control" } else { "web" };
        AgentPlan {
            program: program.to_owned(),
            manager: manager.to_owned(),
            token: token.to_owned(),
            labels: vec![format!("role={role}"), "stack=dev".to_owned()],
            slots,
            data_dir: folder.part("agents").join(&id),
            log: folder.log_path(&id),
            id,
        }
    };
    (1..=count).map(plan).collect()
}

/// Runs an agent until `stop` says so, then ends it.
pub(super) async fn keep(plan: AgentPlan, mut stop: watch::Receiver<bool>, pids: Pids) {
    let mut backoff = Backoff::started();
    let mut stopping = false;
    while !stopping {
        let how = match spawn(&plan) {
            Ok(mut child) => {
                pids.set(child.id());
                let how = tokio::select! {
                    status = child.wait() => Some(status.map_or_else(|error| error.to_string(), |status| status.to_string())),
                    () = asked(&mut stop) => None,
                };
                if how.is_none() {
                    end(&mut child, &plan.id).await;
                    leftovers::forget(&plan.pid_file());
                }
                pids.set(None);
                how
            }
            Err(error) => Some(conductor_boot::report(&error).to_string()),
        };
        let Some(how) = how else { return };
        let wait = backoff.died();
        eprintln!("conductor dev: {} ended ({how}); it is started again in {} ms", plan.id, wait.as_millis());
        stopping = timeout(wait, asked(&mut stop)).await.is_ok();
    }
}

/// Until the stack goes down.
async fn asked(stop: &mut watch::Receiver<bool>) {
    // An error means that the stack is gone, which is as good.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn end(child: &mut Child, id: &str) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    if timeout(STOP_WITHIN, child.wait()).await.is_err() {
        eprintln!("conductor dev: {id} did not stop within {} s and is killed", STOP_WITHIN.as_secs());
        let _ = child.kill().await;
    }
}

fn spawn(plan: &AgentPlan) -> Result<Child, DevError> {
    fs::create_dir_all(&plan.data_dir).map_err(DevError::prepare(&plan.data_dir))?;
    // Nothing of an agent that is installed on this machine must reach the stack's.
    let settings = plan.data_dir.join("agent.toml");
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(&settings);
    made.map_err(DevError::prepare(&settings))?;
    let log = OpenOptions::new().create(true).append(true).mode(0o640).open(&plan.log);
    let log = log.map_err(DevError::prepare(&plan.log))?;
    let again = log.try_clone().map_err(DevError::prepare(&plan.log))?;

    let mut command = Command::new(&plan.program);
    for (name, _) in std::env::vars_os() {
        let own = name.to_str().is_some_and(|name| name.starts_with(OWN_VARIABLES) && name != LOG_VARIABLE);
        if own {
            command.env_remove(name);
        }
    }
    command
        .arg("run")
        .args(["--id", &plan.id, "--manager", &plan.manager])
        .arg("--data-dir")
        .arg(&plan.data_dir)
        .arg("--config")
        .arg(&settings)
        // Not as an argument, which every user of the machine can read.
        .env("CONDUCTOR_TOKEN", &plan.token)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(again)
        // Ctrl-C is for the stack, which ends its agents in its own order.
        .process_group(0)
        .kill_on_drop(true);
    for label in &plan.labels {
        command.args(["--label", label]);
    }
    if let Some(slots) = plan.slots {
        command.args(["--slots", &slots.to_string()]);
    }
    let child = command.spawn().map_err(DevError::prepare(&plan.program))?;
    leftovers::remember(&plan.pid_file(), child.id());
    Ok(child)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_three_or_more_the_last_one_is_for_control() {
        let outer = tempfile::TempDir::new().unwrap();
        let folder = Folder::open(Some(outer.path()), None).unwrap();
        let roles = |count| -> Vec<String> {
            let plans = plans(count, "agent".as_ref(), "http://x", "t", None, &folder);
            plans.into_iter().map(|plan| format!("{} {}", plan.id, plan.labels[0])).collect()
        };
        assert_eq!(roles(2), ["agent-1 role=web", "agent-2 role=web"]);
        assert_eq!(roles(3), ["agent-1 role=web", "agent-2 role=web", "agent-3 role=control"]);
    }
}
