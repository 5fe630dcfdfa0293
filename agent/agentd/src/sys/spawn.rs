//! Starting a process with posix_spawn: no copy of the agent's memory map is made, whatever its size.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, fcntl};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::SigSet;
use nix::unistd::Pid;

/// What to start.
#[derive(Debug)]
pub struct Spawn<'a> {
    /// Path of the program.
    pub program: &'a CStr,
    /// Its arguments, the program's name first.
    pub args: &'a [CString],
    /// Its whole environment.
    pub env: &'a [CString],
    /// Its working directory.
    pub dir: &'a CStr,
    /// Its file descriptors 0, 1, 2 and 3.
    pub fds: [BorrowedFd<'a>; 4],
}

/// Lowest number a descriptor may have here so that setting up 0 to 3 in the child cannot overwrite it.
const FIRST_SAFE_FD: RawFd = 4;

/// Starts the process as the leader of its own process group, with default signals and no other open descriptor.
///
/// # Errors
/// What the kernel says: the program is not there, not executable, has no interpreter, or there are too many processes.
pub fn spawn(what: &Spawn<'_>) -> nix::Result<Pid> {
    let mut actions = PosixSpawnFileActions::init()?;
    add_chdir(&mut actions, what.dir)?;
    let mut raised: Vec<OwnedFd> = Vec::new();
    for (target, fd) in what.fds.iter().enumerate() {
        let mut source = fd.as_raw_fd();
        if source < FIRST_SAFE_FD {
            let copy = duplicate_above(*fd)?;
            source = copy.as_raw_fd();
            raised.push(copy);
        }
        actions.add_dup2(source, RawFd::try_from(target).unwrap_or(RawFd::MAX))?;
    }
    let mut attributes = PosixSpawnAttr::init()?;
    attributes.set_flags(
        PosixSpawnFlags::POSIX_SPAWN_SETPGROUP
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF
            | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK,
    )?;
    attributes.set_pgroup(Pid::from_raw(0))?;
    attributes.set_sigdefault(&SigSet::all())?;
    attributes.set_sigmask(&SigSet::empty())?;
    posix_spawn(what.program, &actions, &attributes, what.args, what.env)
}

fn duplicate_above(fd: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    let raw = fcntl(fd, FcntlArg::F_DUPFD_CLOEXEC(FIRST_SAFE_FD))?;
    Ok(own(raw))
}

#[expect(unsafe_code, reason = "fcntl gives the copy as a bare number")]
fn own(raw: RawFd) -> OwnedFd {
    use std::os::fd::FromRawFd;
    // SAFETY: the number was given by F_DUPFD_CLOEXEC just now, and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(raw) }
}

#[expect(unsafe_code, reason = "nix has no wrapper for this file action")]
fn add_chdir(actions: &mut PosixSpawnFileActions, dir: &CStr) -> nix::Result<()> {
    let actions: *mut PosixSpawnFileActions = actions;
    // SAFETY: PosixSpawnFileActions is a transparent wrapper around an initialised posix_spawn_file_actions_t, and `dir` is a
    // C string that the call copies.
    let error = unsafe { nix::libc::posix_spawn_file_actions_addchdir_np(actions.cast(), dir.as_ptr()) };
    if error == 0 { Ok(()) } else { Err(nix::errno::Errno::from_raw(error)) }
}
