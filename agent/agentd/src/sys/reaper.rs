//! Waiting for processes, in one place.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(Signal),
    /// Nobody knows: something else waited for it.
    Unknown,
}

#[derive(Debug)]
struct Watched {
    told: oneshot::Sender<Exit>,
    /// Whether the rest of its process group is killed once it is over.
    kill_group: bool,
}

/// Waits for the processes it was told of, and for those that were left to this process.
#[derive(Clone, Debug, Default)]
pub struct Reaper {
    watched: Rc<RefCell<HashMap<i32, Watched>>>,
    adopted: Rc<RefCell<Vec<i32>>>,
    /// Whether every child of this process is ours to wait for.
    alone: bool,
}

impl Reaper {
    /// Begins to listen for ended children. Must run inside a `LocalSet`. `alone` says that nobody else in this process waits
    /// for children: then strangers that were orphaned to it are collected as well. A service that a task left behind would
    /// otherwise stay as a zombie when it is stopped, and whoever looks for its number would find it alive.
    ///
    /// # Errors
    /// When the signal cannot be listened for.
    pub fn start(alone: bool) -> io::Result<Self> {
        let reaper = Self { alone, ..Self::default() };
        let mut ended = signal(SignalKind::child())?;
        let listening = reaper.clone();
        tokio::task::spawn_local(async move {
            while ended.recv().await.is_some() {
                listening.reap();
            }
        });
        Ok(reaper)
    }

    /// Watches a child that was just started. With `kill_group` whatever is left of its process group is killed when it is
    /// over, before its number can be given to anybody else.
    #[must_use]
    pub fn watch(&self, pid: Pid, kill_group: bool) -> oneshot::Receiver<Exit> {
        let (told, exit) = oneshot::channel();
        self.watched.borrow_mut().insert(pid.as_raw(), Watched { told, kill_group });
        exit
    }

    /// Whether the process is one that is watched.
    #[must_use]
    pub fn is_watched(&self, pid: i32) -> bool {
        self.watched.borrow().contains_key(&pid)
    }

    /// The processes that are watched.
    #[must_use]
    pub fn watched(&self) -> Vec<Pid> {
        self.watched.borrow().keys().map(|pid| Pid::from_raw(*pid)).collect()
    }

    /// From now on nothing of the group may stay.
    pub fn kill_group_too(&self, pid: Pid) {
        if let Some(watched) = self.watched.borrow_mut().get_mut(&pid.as_raw()) {
            watched.kill_group = true;
        }
    }

    /// Takes care that a process that was left to this one does not stay a zombie.
    pub fn adopt(&self, pid: i32) {
        let mut adopted = self.adopted.borrow_mut();
        if !adopted.contains(&pid) {
            adopted.push(pid);
        }
    }

    /// Collects every process that has ended.
    pub fn reap(&self) {
        self.reap_watched();
        self.adopted.borrow_mut().retain(|pid| {
            matches!(waitpid(Pid::from_raw(*pid), Some(WaitPidFlag::WNOHANG)), Ok(WaitStatus::StillAlive) | Err(Errno::EINTR))
        });
        if self.alone {
            self.reap_strangers();
        }
    }

    fn reap_strangers(&self) {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        while let Ok(status) = waitid(Id::All, flags) {
            let Some(pid) = status.pid() else { return };
            if self.is_watched(pid.as_raw()) {
                // It has ended since it was looked at.
                self.reap_watched();
            } else {
                let _ = waitpid(pid, Some(WaitPidFlag::WNOHANG));
            }
        }
    }

    fn reap_watched(&self) {
        let mut ended = Vec::new();
        for (pid, watched) in self.watched.borrow().iter() {
            // Looked at first and collected afterwards: in between the number, and with it the group's, is still taken.
            let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
            match waitid(Id::Pid(Pid::from_raw(*pid)), flags) {
                Ok(WaitStatus::StillAlive) => {}
                Ok(_) => {
                    if watched.kill_group {
                        let _ = killpg(Pid::from_raw(*pid), Signal::SIGKILL);
                    }
                    ended.push((*pid, collect(*pid)));
                }
                Err(Errno::EINTR) => {}
                Err(_) => ended.push((*pid, Exit::Unknown)),
            }
        }
        for (pid, exit) in ended {
            if let Some(watched) = self.watched.borrow_mut().remove(&pid) {
                // Whoever started it may have given up waiting.
                let _ = watched.told.send(exit);
            }
        }
    }
}

fn collect(pid: i32) -> Exit {
    match waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(_, code)) => Exit::Code(code),
        Ok(WaitStatus::Signaled(_, signal, _)) => Exit::Signal(signal),
        Ok(_) | Err(_) => Exit::Unknown,
    }
}
