//! Processes that are orphaned to the agent do not stay as zombies. In a process of its own, as it waits for every child.

use std::time::{Duration, Instant};

use conductor_agent::sys::procfs;
use conductor_agent::sys::reaper::{Exit, Reaper};
use tokio::task::LocalSet;

#[test]
#[expect(clippy::zombie_processes, reason = "the reaper waits for it, which is what is tested")]
fn a_service_that_was_left_behind_is_gone_once_it_is_stopped() {
    nix::sys::prctl::set_child_subreaper(true).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let reaper = Reaper::start(true).unwrap();
        let started = std::process::Command::new("/bin/sh").args(["-c", "(setsid sleep 3600 &) ; exit 7"]).spawn().unwrap();
        let pid = nix::unistd::Pid::from_raw(i32::try_from(started.id()).unwrap());
        let exit = reaper.watch(pid, false).await.unwrap();
        assert_eq!(exit, Exit::Code(7));
        let orphans = procfs::children(procfs::own_pid());
        assert_eq!(orphans.len(), 1, "the service was orphaned to this process");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(orphans[0]), nix::sys::signal::Signal::SIGKILL).unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while procfs::stat(orphans[0]).is_some() {
            assert!(Instant::now() < deadline, "it is a zombie");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}
