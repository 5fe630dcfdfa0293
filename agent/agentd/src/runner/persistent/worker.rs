//! One process of a persistent plugin, and the local task that attends it.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::rc::{Rc, Weak};
use std::time::Duration;

use conductor_agent_log::Line;
use conductor_model::definition::ResourceLimits;
use conductor_model::limits::LOG_LINE_BYTES_MAX;
use conductor_model::{LogStream, Outcome};
use nix::unistd::Pid;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::runner::collector::Heard;
use crate::runner::ending::{Ending, Stop, judge_done, stopped};
use crate::runner::environment::WORKER_MARK;
use crate::runner::job::{Host, Job, Plugin, new_token};
use crate::runner::killer;
use crate::runner::launch::{self, Invocation};
use crate::runner::oneshot::{EVENT_LINE_BYTES_MAX, cannot_start, leave, out_of_memory};
use crate::runner::pipes::LinePipe;
use crate::sys::cgroup::TaskCgroup;
use crate::sys::confine::Confinement;
use crate::sys::reaper::Exit;
use crate::sys::spawn::{Spawn, spawn};

use super::Assignment;
use super::command::command;

/// How long a worker without work is kept.
const IDLE_MAX: Duration = Duration::from_secs(60);
/// How long an idle worker may take to end after its standard input was closed.
const FAREWELL: Duration = Duration::from_secs(5);
/// A job in a worker's hands.
struct Current {
    job: Rc<Job>,
    done: oneshot::Sender<Ending>,
    started: Instant,
    stop: Option<Stop>,
    kill_at: Option<Instant>,
}

pub(super) struct Worker {
    host: Weak<Host>,
    plugin: Rc<Plugin>,
    /// The pool that it waits in.
    pool: String,
    limits: ResourceLimits,
    pid: Pid,
    cgroup: Option<TaskCgroup>,
    /// What its children are known by.
    id: String,
    token: String,
    exit: oneshot::Receiver<Exit>,
    stdin: Option<pipe::Sender>,
    unwritten: VecDeque<u8>,
    stdout: LinePipe,
    stderr: LinePipe,
    events: LinePipe,
    current: Option<Current>,
    idle_since: Instant,
    farewell: bool,
    ended: Option<Exit>,
    inbox: mpsc::Receiver<Assignment>,
    own: mpsc::WeakSender<Assignment>,
}

enum Happened {
    Exited(Exit),
    Assigned(Assignment),
    LetGo,
    Stdout,
    Stderr,
    Events,
    Writable,
    StopAsked,
    Time,
}

impl Worker {
    pub(super) fn start(host: &Rc<Host>, job: &Job, pool: &str) -> Result<mpsc::Sender<Assignment>, Ending> {
        let plugin = &job.plugin;
        let refused = |what: &str, error: std::io::Error| Ending {
            outcome: Outcome::Refused,
            reason: Some(format!("cannot {what}: {error}")),
            exit_code: None,
        };
        let pipe = |max| LinePipe::new(max).map_err(|error| refused("make a pipe", error));
        let (stdout, stdout_end) = pipe(LOG_LINE_BYTES_MAX)?;
        let (stderr, stderr_end) = pipe(LOG_LINE_BYTES_MAX)?;
        let (events, events_end) = pipe(EVENT_LINE_BYTES_MAX)?;
        let (stdin_end, stdin) = crate::runner::pipes::writing_pipe().map_err(|error| refused("make a pipe", error))?;
        let (id, token) = (new_token(), new_token());
        let command = command(host, plugin, &id, &token).map_err(|reason| Ending {
            outcome: Outcome::FailedTerminally,
            reason: Some(reason),
            exit_code: None,
        })?;
        let declined = |reason| Ending { outcome: Outcome::Refused, reason: Some(reason), exit_code: None };
        let reach = launch::reach(host, plugin, &host.folders.work()).map_err(declined)?;
        let cgroup = host.cgroups.as_ref().map(|cgroups| cgroups.task(&format!("task-worker-{id}"), &job.limits));
        let cgroup = cgroup.transpose().map_err(|error| refused("limit the plugin's process", error))?;
        let confinement = Confinement {
            cgroup: cgroup.as_ref().map(|cgroup| cgroup.dir().to_owned()),
            address_space_bytes: job.limits.memory.filter(|_| cgroup.is_none()).map(|memory| memory.0),
            reach,
        };
        let invocation = Invocation { program: command.program.clone(), args: vec![command.program.clone()] };
        let invocation = invocation.held_to(host, &confinement).map_err(declined)?;
        let spawned = spawn(&Spawn {
            program: &invocation.program,
            args: &invocation.args,
            env: &command.env,
            dir: &command.dir,
            fds: [stdin_end.as_fd(), stdout_end.as_fd(), stderr_end.as_fd(), events_end.as_fd()],
        });
        let pid = spawned.map_err(|error| {
            if let Some(cgroup) = &cgroup {
                cgroup.remove();
            }
            Ending::from(cannot_start(&command.program, error))
        })?;
        let exit = host.reaper.watch(pid, true);
        let (sender, inbox) = mpsc::channel(1);
        let worker = Self {
            host: Rc::downgrade(host),
            plugin: plugin.clone(),
            pool: pool.to_owned(),
            limits: job.limits.clone(),
            pid,
            cgroup,
            id,
            token,
            exit,
            stdin: Some(stdin),
            unwritten: VecDeque::new(),
            stdout,
            stderr,
            events,
            current: None,
            idle_since: Instant::now(),
            farewell: false,
            ended: None,
            inbox,
            own: sender.downgrade(),
        };
        tokio::task::spawn_local(worker.attend());
        Ok(sender)
    }

    async fn attend(mut self) {
        while self.ended.is_none() {
            let happened = self.next().await;
            let Some(host) = self.host.upgrade() else { break };
            match happened {
                Happened::Exited(exit) => self.ended = Some(exit),
                Happened::Assigned(assignment) => self.begin(&host, assignment),
                Happened::LetGo => self.let_go(),
                Happened::Stdout => self.read_output(&host, LogStream::Stdout),
                Happened::Stderr => self.read_output(&host, LogStream::Stderr),
                Happened::Events => self.read_events(&host),
                Happened::Writable => self.write(),
                Happened::StopAsked => {
                    let asked = self.current.as_ref().and_then(|current| current.job.stop.borrow().clone());
                    self.end(asked);
                }
                Happened::Time => self.time_passed(),
            }
        }
        let Some(host) = self.host.upgrade() else { return self.kill() };
        self.inbox.close();
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        killer::sweep(&host.reaper, WORKER_MARK, &self.id).await;
        self.read_rest(&host);
        let mut ran_out_of_memory = false;
        if let Some(cgroup) = self.cgroup.take() {
            ran_out_of_memory = cgroup.ran_out_of_memory();
            leave(&cgroup, false).await;
        }
        if let Some(current) = self.current.take() {
            let (outcome, reason) = match &current.stop {
                Some(stop) => stopped(stop),
                None => (Outcome::Failed, Some(self.last_words(&current))),
            };
            let exit_code = match self.ended {
                Some(Exit::Code(code)) => Some(code),
                Some(Exit::Signal(_) | Exit::Unknown) | None => None,
            };
            let ending = match &current.stop {
                None if ran_out_of_memory => out_of_memory(exit_code, &self.limits),
                _ => Ending { outcome, reason, exit_code },
            };
            self.finish(&host, current, ending);
        }
    }

    fn kill(&self) {
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
        killer::kill_tree(self.pid);
    }

    fn last_words(&self, current: &Current) -> String {
        let how = match self.ended {
            Some(Exit::Code(code)) => format!("exited with code {code}"),
            Some(Exit::Signal(signal)) => format!("was ended by {signal}"),
            Some(Exit::Unknown) | None => "ended, nobody knows how".to_owned(),
        };
        let said = current.job.voice.said.borrow();
        let last = said.last_words();
        let colon = if last.is_empty() { "" } else { ": " };
        format!("the plugin's process {how} while it had the task{colon}{last}")
    }

    async fn next(&mut self) -> Happened {
        let is_busy = self.current.is_some();
        let due = self.due();
        let mut stop = self.current.as_ref().filter(|current| current.stop.is_none()).map(|current| current.job.stop.clone());
        tokio::select! {
            biased;
            exit = &mut self.exit => Happened::Exited(exit.unwrap_or(Exit::Unknown)),
            () = asked(&mut stop) => Happened::StopAsked,
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Happened::Time,
            () = self.events.readable() => Happened::Events,
            () = self.stdout.readable() => Happened::Stdout,
            () = self.stderr.readable() => Happened::Stderr,
            () = writable(self.stdin.as_ref()), if !self.unwritten.is_empty() => Happened::Writable,
            assignment = self.inbox.recv(), if !is_busy && !self.farewell => {
                assignment.map_or(Happened::LetGo, Happened::Assigned)
            }
        }
    }

    fn due(&self) -> Option<Instant> {
        match &self.current {
            Some(Current { stop: Some(_), kill_at, .. }) => *kill_at,
            Some(current) => current.job.run_timeout.map(|limit| current.started + limit),
            None if self.farewell => Some(self.idle_since + FAREWELL),
            None => Some(self.idle_since + IDLE_MAX),
        }
    }

    fn begin(&mut self, host: &Host, assignment: Assignment) {
        let Assignment { job, done } = assignment;
        host.speakers.borrow_mut().insert(self.token.clone(), job.clone());
        job.voice.outlet.started(None);
        self.unwritten.extend(job.line(&host.agent));
        self.current = Some(Current { job, done, started: Instant::now(), stop: None, kill_at: None });
        self.write();
    }

    fn write(&mut self) {
        while let Some(stdin) = self.stdin.as_ref().filter(|_| !self.unwritten.is_empty()) {
            match stdin.try_write(self.unwritten.make_contiguous()) {
                Ok(count) => drop(self.unwritten.drain(..count)),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    // It closed its standard input. Its exit, or the task's time limit, says the rest.
                    self.stdin = None;
                    self.unwritten.clear();
                }
            }
        }
    }

    fn read_output(&mut self, host: &Host, stream: LogStream) {
        let pipe = if stream == LogStream::Stdout { &mut self.stdout } else { &mut self.stderr };
        let (current, plugin) = (&self.current, &self.plugin);
        pipe.read(&host.scratch, |line| output_line(current.as_ref(), plugin, stream, &line));
    }

    /// Reads the output that it has written up to now.
    fn read_rest(&mut self, host: &Host) {
        let (current, plugin) = (&self.current, &self.plugin);
        for (stream, pipe) in [(LogStream::Stdout, &mut self.stdout), (LogStream::Stderr, &mut self.stderr)] {
            pipe.read_rest(&host.scratch, |line| output_line(current.as_ref(), plugin, stream, &line));
        }
    }

    fn read_events(&mut self, host: &Rc<Host>) {
        let mut outcome = None;
        let current = &self.current;
        self.events.read(&host.scratch, |line| {
            let Some(current) = current else { return };
            if let Some(Heard::Done { task_id, success }) = current.job.voice.event_line(&line) {
                if task_id == current.job.task_id {
                    outcome = Some(success);
                } else {
                    current.job.voice.say("warn", &format!("the plugin says it is done with {task_id}, which is not its task"));
                }
            }
        });
        let Some(success) = outcome else { return };
        // What it wrote before it said so belongs to the task.
        self.read_rest(host);
        let Some(current) = self.current.take() else { return };
        if current.stop.is_some() {
            // It is being ended; that is what counts.
            self.current = Some(current);
            return;
        }
        let ending = judge_done(success, &current.job.voice.said.borrow());
        self.idle_since = Instant::now();
        if let Some(own) = self.own.upgrade() {
            host.pools.put_idle(&self.pool, own);
        }
        self.finish(host, current, ending);
    }

    fn finish(&self, host: &Host, current: Current, ending: Ending) {
        host.speakers.borrow_mut().remove(&self.token);
        // Nobody waits any more when the agent itself is ending.
        let _ = current.done.send(ending);
    }

    fn end(&mut self, stop: Option<Stop>) {
        let Some(current) = &mut self.current else { return };
        if current.stop.is_some() || stop.is_none() {
            return;
        }
        current.stop = stop;
        current.kill_at = Some(Instant::now() + current.job.grace);
        killer::terminate(self.pid);
    }

    fn time_passed(&mut self) {
        let now = Instant::now();
        let limit = match &mut self.current {
            Some(current) if current.stop.is_some() => {
                if current.kill_at.is_some_and(|at| now >= at) {
                    current.kill_at = None;
                    self.kill();
                }
                return;
            }
            Some(current) => current.job.run_timeout.filter(|limit| now >= current.started + *limit),
            None if self.farewell && now >= self.idle_since + FAREWELL => {
                self.idle_since = now;
                return self.kill();
            }
            None if !self.farewell && now >= self.idle_since + IDLE_MAX => return self.let_go(),
            None => return,
        };
        if let Some(limit) = limit {
            self.end(Some(Stop::TimedOut(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX))));
        }
    }

    /// Nobody needs it: it sees the end of its standard input and may go.
    fn let_go(&mut self) {
        self.inbox.close();
        self.farewell = true;
        self.idle_since = Instant::now();
        self.stdin = None;
        self.unwritten.clear();
    }
}

fn output_line(current: Option<&Current>, plugin: &Plugin, stream: LogStream, line: &Line<'_>) {
    match current {
        Some(current) => current.job.voice.output_line(stream, line),
        None => {
            let text = String::from_utf8_lossy(line.bytes);
            tracing::debug!(plugin = %plugin.manifest.name, text = %text, "a persistent plugin spoke without having a task");
        }
    }
}

async fn writable(stdin: Option<&pipe::Sender>) {
    match stdin {
        Some(stdin) => drop(stdin.writable().await),
        None => std::future::pending().await,
    }
}

async fn asked(stop: &mut Option<tokio::sync::watch::Receiver<Option<Stop>>>) {
    if let Some(stop) = stop
        && stop.wait_for(Option::is_some).await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
}
