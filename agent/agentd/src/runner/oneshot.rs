//! One process for one task.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use conductor_agent_core::ProcessMark;
use conductor_model::definition::ResourceLimits;
use conductor_model::limits::{LOG_LINE_BYTES_MAX, TASK_PAYLOAD_BYTES_MAX};
use conductor_model::{LogStream, Outcome};
use nix::unistd::Pid;
use tokio::time::{Instant, sleep_until};

use super::ending::{Ending, Stop, judge};
use super::environment::TASK_MARK;
use super::job::{Host, Job, new_token};
use super::killer;
use super::launch::{self, Invocation};
use super::pipes::{LinePipe, input_file};
use super::script;
use crate::sys::cgroup::TaskCgroup;
use crate::sys::confine::Confinement;
use crate::sys::procfs;
use crate::sys::reaper::Exit;
use crate::sys::spawn::{Spawn, spawn};

/// Longest event in bytes: the largest output, with room for its frame.
pub(super) const EVENT_LINE_BYTES_MAX: usize = TASK_PAYLOAD_BYTES_MAX + 64 * 1024;
/// How often it is looked whether the group of a task that is over is empty, and how long is waited in between.
const LEAVE_ROUNDS_MAX: u32 = 100;
const LEAVE_ROUND: Duration = Duration::from_millis(5);
/// How long pipes that somebody still holds open are read after the main process has ended.
const DRAIN: Duration = Duration::from_millis(250);

/// What to start, worked out from plugin and task.
#[derive(Debug)]
pub(super) struct Command {
    pub program: CString,
    pub args: Vec<CString>,
    pub env: Vec<(String, String)>,
}

/// A text without zero bytes, which no argument of a process can have.
pub(super) fn c_string(text: impl AsRef<[u8]>) -> Result<CString, String> {
    CString::new(text.as_ref()).map_err(|_| "an argument has a zero byte in it".to_owned())
}

fn entry_point(job: &Job) -> Result<Command, String> {
    let Some(entrypoint) = &job.plugin.manifest.entrypoint else {
        return Err("the plugin's manifest names no entrypoint".to_owned());
    };
    let program = c_string(job.plugin.dir.join(entrypoint).as_os_str().as_bytes())?;
    let args = vec![program.clone(), c_string(&job.operation)?];
    Ok(Command { program, args, env: Vec::new() })
}

/// Runs a task of a one-shot or script plugin to its end, and leaves nothing of it behind that may not stay.
pub async fn run(host: &Host, job: &Rc<Job>) -> Ending {
    let work = match host.work_dirs.take(&host.folders.work()) {
        Ok(work) => work,
        Err((path, error)) => {
            return refused(format!("cannot make the working directory {}: {error}", path.display()));
        }
    };
    let token = new_token();
    host.speakers.borrow_mut().insert(token.clone(), job.clone());
    let ending = run_in(host, job, &work, &token).await;
    host.speakers.borrow_mut().remove(&token);
    host.work_dirs.give_back(work, job.leaves_processes()).await;
    ending
}

fn refused(reason: String) -> Ending {
    Ending { outcome: Outcome::Refused, reason: Some(reason), exit_code: None }
}

fn failed(reason: String) -> Ending {
    Ending { outcome: Outcome::Failed, reason: Some(reason), exit_code: None }
}

async fn run_in(host: &Host, job: &Job, work: &Path, token: &str) -> Ending {
    let command = match job.plugin.manifest.entrypoint {
        Some(_) => entry_point(job),
        None => script::prepare(host, job, work),
    };
    let command = match command {
        Ok(command) => command,
        Err(reason) => return Ending { outcome: Outcome::FailedTerminally, reason: Some(reason), exit_code: None },
    };
    let mut running = match start(host, job, work, token, &command) {
        Ok(running) => running,
        Err(error) => return error.into(),
    };
    let ending = running.attend().await;
    super::artifacts::keep(host, job, work, ending).await
}

pub(super) enum StartError {
    /// The host is short of something; another host may not be.
    Here(String),
    /// The program cannot be started.
    Program(String),
}

impl From<StartError> for Ending {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Here(reason) => refused(reason),
            StartError::Program(reason) => failed(reason),
        }
    }
}

struct Running<'a> {
    host: &'a Host,
    job: &'a Job,
    pid: Pid,
    cgroup: Option<TaskCgroup>,
    exit: tokio::sync::oneshot::Receiver<Exit>,
    stdout: LinePipe,
    stderr: LinePipe,
    events: LinePipe,
    started: Instant,
    stop: Option<Stop>,
    kill_at: Option<Instant>,
}

fn start<'a>(host: &'a Host, job: &'a Job, work: &Path, token: &str, command: &Command) -> Result<Running<'a>, StartError> {
    let here = |what: &str, error: io::Error| StartError::Here(format!("cannot {what}: {error}"));
    let pipe = |max| LinePipe::new(max).map_err(|error| here("make a pipe", error));
    let (stdout, stdout_end) = pipe(LOG_LINE_BYTES_MAX)?;
    let (stderr, stderr_end) = pipe(LOG_LINE_BYTES_MAX)?;
    let (events, events_end) = pipe(EVENT_LINE_BYTES_MAX)?;
    let input = input_file(&job.line(&host.agent)).map_err(|error| here("hand over the task", error))?;
    let dir = c_string(work.as_os_str().as_bytes()).map_err(StartError::Here)?;
    let env = environment(host, job, work, token, command);
    let reach = launch::reach(host, &job.plugin, work).map_err(StartError::Here)?;
    let cgroup = host.cgroups.as_ref().map(|cgroups| {
        let name = format!("task-{}-{}", job.task_id, job.key.dispatch);
        cgroups.task(&name, &job.limits).map_err(|error| here("limit the task", error))
    });
    let cgroup = cgroup.transpose()?;
    let confinement = Confinement {
        cgroup: cgroup.as_ref().filter(|_| job.limits != ResourceLimits::default()).map(|cgroup| cgroup.dir().to_owned()),
        address_space_bytes: job.limits.memory.filter(|_| cgroup.is_none()).map(|memory| memory.0),
        reach,
    };
    let invocation = Invocation { program: command.program.clone(), args: command.args.clone() };
    let invocation = invocation.held_to(host, &confinement).map_err(StartError::Here)?;
    let spawned = spawn(&Spawn {
        program: &invocation.program,
        args: &invocation.args,
        env: &env,
        dir: &dir,
        fds: [input.as_fd(), stdout_end.as_fd(), stderr_end.as_fd(), events_end.as_fd()],
    });
    let pid = spawned.map_err(|error| {
        if let Some(cgroup) = &cgroup {
            cgroup.remove();
        }
        cannot_start(&command.program, error)
    })?;
    if let Some(cgroup) = cgroup.as_ref().filter(|_| confinement.cgroup.is_none()) {
        enter(pid, cgroup);
    }
    let exit = host.reaper.watch(pid, !job.leaves_processes());
    // If it is over already, its number is still taken: nobody has collected it.
    let start_ticks = procfs::stat(pid.as_raw()).map_or(0, |stat| stat.start_ticks);
    job.voice.outlet.started(Some(ProcessMark { pid: pid.as_raw(), start_ticks }));
    Ok(Running { host, job, pid, cgroup, exit, stdout, stderr, events, started: Instant::now(), stop: None, kill_at: None })
}

/// Puts a process without limits, and what it may have started already, into its group, so that all of it can be found.
fn enter(pid: Pid, cgroup: &TaskCgroup) {
    // One that is over already needs no group.
    let _ = cgroup.place(pid);
    for below in procfs::descendants(pid.as_raw()) {
        let _ = cgroup.place(Pid::from_raw(below));
    }
}

pub(super) fn cannot_start(program: &CStr, error: nix::Error) -> StartError {
    use nix::errno::Errno;
    let reason = format!("cannot start {}: {}", program.to_string_lossy(), error.desc());
    match error {
        Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE => StartError::Here(reason),
        _ => StartError::Program(reason),
    }
}

fn environment(host: &Host, job: &Job, work: &Path, token: &str, command: &Command) -> Vec<CString> {
    let work = work.as_os_str().as_bytes();
    let mut added: Vec<(&str, &[u8])> = vec![
        (TASK_MARK, job.task_id.as_bytes()),
        ("CONDUCTOR_WORKFLOW_ID", job.workflow_id.as_bytes()),
        ("CONDUCTOR_NODE_INSTANCE", job.node_instance.as_bytes()),
        ("CONDUCTOR_WORK_DIR", work),
        ("TMPDIR", work),
        ("CONDUCTOR_PLUGIN_DIR", job.plugin.dir.as_os_str().as_bytes()),
        ("CONDUCTOR_CTX_TOKEN", token.as_bytes()),
    ];
    added.extend(command.env.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
    host.environment.with(&job.plugin.manifest.environment, &added)
}

/// Removes the group of a task that is over, once what was killed in it is gone. A service that may stay keeps it.
pub(super) async fn leave(cgroup: &TaskCgroup, may_stay: bool) {
    for _ in 0..LEAVE_ROUNDS_MAX {
        if cgroup.members().is_empty() || may_stay {
            break;
        }
        tokio::time::sleep(LEAVE_ROUND).await;
    }
    cgroup.remove();
}

/// The kernel ended it, or a part of it: that is what the failure comes from, whatever else was said.
pub(super) fn out_of_memory(exit_code: Option<i32>, limits: &ResourceLimits) -> Ending {
    let limit = limits.memory.map_or_else(|| "than the host has".to_owned(), |memory| format!("than {} bytes", memory.0));
    let reason = format!("it used more memory {limit} and was ended by the kernel");
    Ending { outcome: Outcome::OutOfMemory, reason: Some(reason), exit_code }
}

/// What happened to a running process.
enum Happened {
    Exited(Exit),
    Stdout,
    Stderr,
    Events,
    StopAsked,
    Time,
}

impl Running<'_> {
    /// Reads what it says and waits for its end, ending it when it must.
    async fn attend(&mut self) -> Ending {
        let exit = loop {
            match self.next().await {
                Happened::Exited(exit) => break exit,
                Happened::Stdout => self.read_stdout(),
                Happened::Stderr => self.read_stderr(),
                Happened::Events => self.read_events(),
                Happened::StopAsked => {
                    let stop = self.job.stop.borrow().clone();
                    self.end(stop);
                }
                Happened::Time => self.time_passed(),
            }
        };
        if !self.job.leaves_processes() || self.stop.is_some() {
            if let Some(cgroup) = &self.cgroup {
                cgroup.kill();
            }
            killer::sweep(&self.host.reaper, TASK_MARK, &self.job.task_id).await;
        }
        self.drain().await;
        let ending = judge(exit, self.stop.as_ref(), &self.job.voice.said.borrow());
        let Some(cgroup) = self.cgroup.take() else { return ending };
        let ran_out = self.stop.is_none() && cgroup.ran_out_of_memory();
        leave(&cgroup, self.job.leaves_processes()).await;
        if ran_out { out_of_memory(ending.exit_code, &self.job.limits) } else { ending }
    }

    async fn next(&mut self) -> Happened {
        let due = self.due();
        let mut stop = self.job.stop.clone();
        let is_stopping = self.stop.is_some();
        tokio::select! {
            biased;
            exit = &mut self.exit => Happened::Exited(exit.unwrap_or(Exit::Unknown)),
            Ok(_) = stop.wait_for(Option::is_some), if !is_stopping => Happened::StopAsked,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Happened::Time,
            () = self.events.readable() => Happened::Events,
            () = self.stdout.readable() => Happened::Stdout,
            () = self.stderr.readable() => Happened::Stderr,
        }
    }

    /// The next moment at which something must be done by the clock.
    fn due(&self) -> Option<Instant> {
        match self.stop {
            Some(_) => self.kill_at,
            None => self.job.run_timeout.map(|limit| self.started + limit),
        }
    }

    fn time_passed(&mut self) {
        let now = Instant::now();
        match (&self.stop, self.kill_at, self.job.run_timeout) {
            (Some(_), Some(kill_at), _) if now >= kill_at => {
                self.kill_at = None;
                if let Some(cgroup) = &self.cgroup {
                    cgroup.kill();
                }
                killer::kill_tree(self.pid);
            }
            (None, _, Some(limit)) if now >= self.started + limit => {
                self.end(Some(Stop::TimedOut(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX))));
            }
            _ => {}
        }
    }

    /// First step of the ladder: TERM to the group; KILL to the whole tree after the grace.
    fn end(&mut self, stop: Option<Stop>) {
        if self.stop.is_some() || stop.is_none() {
            return;
        }
        self.stop = stop;
        self.kill_at = Some(Instant::now() + self.job.grace);
        self.host.reaper.kill_group_too(self.pid);
        killer::terminate(self.pid);
    }

    fn read_stdout(&mut self) {
        let voice = &self.job.voice;
        self.stdout.read(&self.host.scratch, |line| voice.output_line(LogStream::Stdout, &line));
    }

    fn read_stderr(&mut self) {
        let voice = &self.job.voice;
        self.stderr.read(&self.host.scratch, |line| voice.output_line(LogStream::Stderr, &line));
    }

    fn read_events(&mut self) {
        let voice = &self.job.voice;
        self.events.read(&self.host.scratch, |line| {
            // A one-shot process is done when it exits, whatever it says.
            voice.event_line(&line);
        });
    }

    /// Reads what is left in the pipes. Whoever still holds them open gets a moment, not more.
    async fn drain(&mut self) {
        let end = Instant::now() + DRAIN;
        loop {
            self.read_events();
            self.read_stdout();
            self.read_stderr();
            if !(self.events.is_open() || self.stdout.is_open() || self.stderr.is_open()) {
                return;
            }
            if Instant::now() >= end {
                break;
            }
            tokio::select! {
                () = sleep_until(end) => {}
                () = self.events.readable() => {}
                () = self.stdout.readable() => {}
                () = self.stderr.readable() => {}
            }
        }
        let voice = &self.job.voice;
        self.events.close(|line| {
            voice.event_line(&line);
        });
        self.stdout.close(|line| voice.output_line(LogStream::Stdout, &line));
        self.stderr.close(|line| voice.output_line(LogStream::Stderr, &line));
    }
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    #[test]
    fn a_host_that_is_short_of_something_refuses_and_a_program_that_cannot_be_started_fails() {
        let outcome = |error| Ending::from(cannot_start(c"/bin/tool", error)).outcome;
        for error in [Errno::EAGAIN, Errno::ENOMEM, Errno::EMFILE, Errno::ENFILE] {
            assert_eq!(outcome(error), Outcome::Refused, "{error}");
        }
        assert_eq!(outcome(Errno::ENOENT), Outcome::Failed);
    }
}
