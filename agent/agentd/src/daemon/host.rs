//! What keeps this host from taking tasks for a while: a disk or a table of handles that is nearly full, or no runner. The
//! manager is told, and gives tasks to others; it ends by itself.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use conductor_agent_core::Input;
use nix::sys::resource::{Resource, getrlimit};

use super::Daemon;

/// After so long without a runner the manager is told.
pub(super) const RUNNER_PATIENCE: Duration = Duration::from_secs(3);
/// How often the host is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// With fewer file handles left nothing new is taken: a download, an unpacking and a connection need some each.
const HANDLES_FREE_MIN: u64 = 24;
/// So many times as much must be free before tasks are taken again: work that begins takes some at once.
const FREE_AGAIN: u64 = 2;
/// Bytes in the unit that the least free space is set in.
const MIB: u64 = 1024 * 1024;

/// What is nearly used up, in words that stay the same while it is.
fn shortage(data_dir: &Path, free_mib_min: u64, was_short: bool) -> Option<String> {
    let times = if was_short { FREE_AGAIN } else { 1 };
    let free_bytes = nix::sys::statvfs::statvfs(data_dir).map(|disk| disk.blocks_available() * disk.fragment_size());
    if free_bytes.is_ok_and(|free| free < free_mib_min.saturating_mul(MIB).saturating_mul(times)) {
        return Some(format!("less than {free_mib_min} MiB are free for {}", data_dir.display()));
    }
    // Looking takes a handle too.
    let used = std::fs::read_dir("/proc/self/fd").map(|all| all.count() as u64);
    let most = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    if used.map_or(0, |used| most.saturating_sub(used)) < HANDLES_FREE_MIN * times {
        return Some(format!(
            "its agent has fewer than {HANDLES_FREE_MIN} of {most} file handles left (LimitNOFILE= of its unit)"
        ));
    }
    None
}

/// Whether an error means that the host is short of something, which another host may not be.
#[must_use]
pub(super) fn is_of_shortage(error: &(dyn std::error::Error + 'static)) -> bool {
    use nix::libc::{EDQUOT, EMFILE, ENFILE, ENOMEM, ENOSPC};
    let mut next = Some(error);
    while let Some(error) = next {
        let number = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error);
        if number.is_some_and(|number| [EDQUOT, EMFILE, ENFILE, ENOMEM, ENOSPC].contains(&number)) {
            return true;
        }
        next = error.source();
    }
    false
}

impl Daemon {
    /// Looks at the host for ever.
    pub(super) async fn watch_host(self: Rc<Self>) {
        let mut told: Option<String> = None;
        loop {
            let short = shortage(&self.settings.data_dir, self.settings.free_disk_mib, told.is_some());
            if short != told {
                match &short {
                    Some(what) => tracing::error!(what, "short of something; no new tasks are taken until there is enough"),
                    None => tracing::info!("the host has enough of everything again"),
                }
                told.clone_from(&short);
                self.input(Input::HostShort(short));
                self.outbox.renew_lease();
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// There is no runner, or there is one again.
    pub(super) fn runner_away(self: &Rc<Self>, is_away: bool) {
        let reason = is_away.then(|| "nothing runs its tasks: its runner is not to be reached".to_owned());
        let was_away = self.is_runner_away.replace(is_away);
        if was_away != is_away {
            self.input(Input::RunnerAway(reason));
            self.outbox.renew_lease();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use nix::sys::resource::setrlimit;

    use super::*;
    use crate::plugins::PluginError;
    use crate::rest::RestError;

    #[test]
    fn a_disk_that_fills_up_keeps_tasks_away_until_there_is_room_again() {
        let dir = tempfile::tempdir().unwrap();
        let mount = |options: &str| {
            let mut command = Command::new("mount");
            command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(dir.path());
            command.output().is_ok_and(|output| output.status.success())
        };
        if !mount("size=8m") {
            eprintln!("SKIPPED: a small disk can be made by root alone");
            return;
        }
        let found = std::panic::catch_unwind(|| {
            assert_eq!(shortage(dir.path(), 4, false), None);
            std::fs::write(dir.path().join("filler"), vec![1; 5 << 20]).unwrap();
            let what = shortage(dir.path(), 4, false).expect("3 MiB are left");
            assert!(what.starts_with("less than 4 MiB are free for "), "{what}");
            assert_eq!(shortage(dir.path(), 0, false), None, "it can be turned off");
            std::fs::write(dir.path().join("filler"), vec![1; 3 << 20]).unwrap();
            assert!(
                shortage(dir.path(), 4, true).is_some() && shortage(dir.path(), 4, false).is_none(),
                "on the edge it stays"
            );
            std::fs::remove_file(dir.path().join("filler")).unwrap();
            assert!(shortage(dir.path(), 4, true).is_none());
        });
        assert!(Command::new("umount").arg(dir.path()).status().unwrap().success());
        found.unwrap();
    }

    #[test]
    fn a_process_that_runs_out_of_handles_says_so_and_recovers() {
        let dir = tempfile::tempdir().unwrap();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(shortage(dir.path(), 0, false), None);
        let used = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        setrlimit(Resource::RLIMIT_NOFILE, used + HANDLES_FREE_MIN / 2, hard).unwrap();
        let what = shortage(dir.path(), 0, false);
        setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
        assert!(what.is_some_and(|what| what.contains("file handles left")));
        assert_eq!(shortage(dir.path(), 0, true), None);
    }

    #[test]
    fn a_full_disk_is_told_from_a_plugin_that_is_wrong() {
        let write = |number| RestError::File {
            step: "write",
            path: "/var/lib/x".into(),
            source: std::io::Error::from_raw_os_error(number),
        };
        for number in [nix::libc::ENOSPC, nix::libc::EMFILE] {
            assert!(is_of_shortage(&PluginError::Fetch(write(number))));
        }
        assert!(!is_of_shortage(&PluginError::Fetch(write(nix::libc::EACCES))));
        assert!(!is_of_shortage(&PluginError::Invalid("it is none".to_owned())));
    }
}
