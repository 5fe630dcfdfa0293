//! How a plugin's process comes under its limits.
//!
//! A process without any is started as it is: starting the agent's program in its place costs about a millisecond.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use conductor_agent_core::policy::HostPath;

use super::job::{Host, Plugin};
use super::oneshot::c_string;
use crate::sys::confine::{Confinement, Reach, can_limit_paths};

/// A program and its arguments, its own name first.
#[derive(Debug)]
pub(super) struct Invocation {
    pub program: CString,
    pub args: Vec<CString>,
}

impl Invocation {
    /// The same program, held to limits from its first instruction.
    ///
    /// # Errors
    /// Why that cannot be said to a process, for people.
    pub(super) fn held_to(self, host: &Host, confinement: &Confinement) -> Result<Self, String> {
        if confinement.is_none() {
            return Ok(self);
        }
        let limits = serde_json::to_string(confinement).map_err(|error| format!("the limits cannot be written: {error}"))?;
        let mut args = vec![c_string("conductor-agent")?, c_string("confine")?, c_string(limits)?, self.program];
        args.extend(self.args.into_iter().skip(1));
        Ok(Self { program: c_string(own_program(host).as_os_str().as_bytes())?, args })
    }
}

/// The link to the agent's program.
fn own_program(host: &Host) -> PathBuf {
    host.folders.bin().join("ctx")
}

/// What the host's policy lets a process of the plugin reach; `None` where it says nothing of paths. `work` is the process's
/// working directory.
///
/// # Errors
/// Why it cannot be kept to, for people.
pub(super) fn reach(host: &Host, plugin: &Plugin, work: &Path) -> Result<Option<Reach>, String> {
    let policy = host.policy.policy()?;
    if policy.paths.is_unlimited() {
        return Ok(None);
    }
    if !can_limit_paths() {
        return Err("this host's policy limits paths, and its kernel cannot: that takes Linux 5.13 with Landlock".to_owned());
    }
    let own_written = [work.to_owned(), host.folders.state()];
    let program = own_program(host);
    let target = std::fs::canonicalize(&program).unwrap_or(program);
    let own_read = [plugin.dir.clone(), host.folders.bin(), target];
    let with = |paths: &[HostPath], own: &[PathBuf]| -> Vec<PathBuf> {
        paths.iter().map(|path| path.as_ref().to_owned()).chain(own.iter().cloned()).collect()
    };
    let read = policy.paths.read.as_ref().map(|paths| {
        let mut all = with(paths, &own_read);
        all.extend(own_written.iter().cloned());
        all
    });
    let write = policy.paths.write.as_ref().map(|paths| with(paths, &own_written));
    Ok(Some(Reach { read, write }))
}
