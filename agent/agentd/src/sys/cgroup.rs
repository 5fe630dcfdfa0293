//! Control groups, version 2: what a task may use, and killing all of it.
//!
//! The runner's unit delegates its group. The runner moves into a leaf of it, since a group with members cannot have groups
//! with limits below, and makes a group for each task beside that leaf.
//!
//! ```text
//! …/conductor-runner@USER.service      delegated
//!     runner                           the runner itself
//!     task-ID-DISPATCH                 one task
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use conductor_model::definition::ResourceLimits;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Where the kernel shows control groups.
const MOUNT: &str = "/sys/fs/cgroup";
/// The leaf that the runner moves into.
const OWN_LEAF: &str = "runner";
/// Controllers that tasks are limited by.
const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];
/// Span over which processor time is counted, in µs.
const CPU_PERIOD_US: f64 = 100_000.0;

/// The delegated group of the runner.
#[derive(Clone, Debug)]
pub struct Cgroups {
    root: PathBuf,
    /// Controllers that are there.
    controllers: Vec<&'static str>,
}

/// The group of one task.
#[derive(Debug)]
pub struct TaskCgroup {
    dir: PathBuf,
}

impl Cgroups {
    /// Takes over this process's delegated group; `None` where there is none.
    #[must_use]
    pub fn take_over() -> Option<Self> {
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        match Self::take_over_at(Path::new(MOUNT), &own) {
            Ok(cgroups) => {
                tracing::info!(root = %cgroups.root.display(), controllers = ?cgroups.controllers, "tasks get control groups");
                Some(cgroups)
            }
            Err(error) => {
                tracing::info!(%error, "there is no delegated control group; tasks are limited and found without");
                None
            }
        }
    }

    /// `own` is the text of `/proc/self/cgroup`.
    fn take_over_at(mount: &Path, own: &str) -> io::Result<Self> {
        let missing = |what: &str| io::Error::new(io::ErrorKind::NotFound, what.to_owned());
        let path = own.lines().find_map(|line| line.strip_prefix("0::/")).ok_or_else(|| missing("no version 2 hierarchy"))?;
        let mut root = mount.join(path);
        // After it replaced its program the runner is in its leaf already.
        if root.file_name().is_some_and(|name| name == OWN_LEAF) {
            root.pop();
        }
        let there = fs::read_to_string(root.join("cgroup.controllers"))?;
        let controllers: Vec<_> =
            CONTROLLERS.into_iter().filter(|name| there.split_whitespace().any(|one| one == *name)).collect();
        if controllers.is_empty() {
            return Err(missing("no controllers are delegated"));
        }
        let leaf = root.join(OWN_LEAF);
        make_dir(&leaf)?;
        write(&leaf, "cgroup.procs", &std::process::id().to_string())?;
        let wanted: Vec<_> = controllers.iter().map(|name| format!("+{name}")).collect();
        write(&root, "cgroup.subtree_control", &wanted.join(" "))?;
        Ok(Self { root, controllers })
    }

    /// Makes the group of a task.
    ///
    /// # Errors
    /// When it cannot be made, or a limit cannot be set.
    pub fn task(&self, name: &str, limits: &ResourceLimits) -> io::Result<TaskCgroup> {
        let dir = self.root.join(name);
        make_dir(&dir)?;
        let task = TaskCgroup { dir };
        let limited = self.limit(&task.dir, limits);
        if limited.is_err() {
            task.remove();
        }
        limited.map(|()| task)
    }

    fn limit(&self, dir: &Path, limits: &ResourceLimits) -> io::Result<()> {
        let has = |name: &str| self.controllers.contains(&name);
        if let Some(memory) = limits.memory.filter(|_| has("memory")) {
            write(dir, "memory.max", &memory.0.to_string())?;
            // All of it or nothing: half a task is of no use.
            write(dir, "memory.oom.group", "1")?;
            // A kernel without swap has no such file.
            if dir.join("memory.swap.max").exists() {
                write(dir, "memory.swap.max", "0")?;
            }
        }
        if let Some(cores) = limits.cpu.filter(|_| has("cpu")) {
            write(dir, "cpu.max", &format!("{:.0} {CPU_PERIOD_US:.0}", (cores * CPU_PERIOD_US).max(1000.0)))?;
        }
        if let Some(pids) = limits.pids.filter(|_| has("pids")) {
            write(dir, "pids.max", &pids.to_string())?;
        }
        Ok(())
    }

    /// Removes groups of tasks that an earlier life left and in which nothing runs any more.
    pub fn tidy(&self) {
        let Ok(entries) = fs::read_dir(&self.root) else { return };
        for entry in entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with("task-")) {
            // One in which something still runs cannot be removed.
            let _ = fs::remove_dir(entry.path());
        }
    }
}

impl TaskCgroup {
    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Moves a process into the group; what it starts from then on is in it too.
    ///
    /// # Errors
    /// When the kernel does not let it, or the process is gone.
    pub fn place(&self, pid: Pid) -> io::Result<()> {
        write(&self.dir, "cgroup.procs", &pid.to_string())
    }

    /// Kills everything in the group, also what left its process group and its session.
    pub fn kill(&self) {
        if self.dir.join("cgroup.kill").exists() && write(&self.dir, "cgroup.kill", "1").is_ok() {
            return;
        }
        for pid in self.members() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }

    /// What is in it.
    #[must_use]
    pub fn members(&self) -> Vec<i32> {
        let text = fs::read_to_string(self.dir.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| line.trim().parse().ok()).collect()
    }

    /// Whether the kernel killed something in it because it used more memory than it may.
    #[must_use]
    pub fn ran_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.dir.join("memory.events")).unwrap_or_default();
        events.lines().filter_map(|line| line.strip_prefix("oom_kill ")).any(|count| count.trim() != "0")
    }

    /// Removes the group; one in which something may stay, stays.
    pub fn remove(&self) {
        let _ = fs::remove_dir(&self.dir);
    }
}

fn make_dir(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(about(dir, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn write(dir: &Path, file: &str, text: &str) -> io::Result<()> {
    let path = dir.join(file);
    fs::write(&path, text).map_err(|error| about(&path, &error))
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// The smaller of both limits, each by itself.
#[must_use]
pub fn smaller(one: Option<&ResourceLimits>, other: Option<&ResourceLimits>) -> ResourceLimits {
    fn least<T: PartialOrd>(one: Option<T>, other: Option<T>) -> Option<T> {
        match (one, other) {
            (Some(one), Some(other)) => Some(if other < one { other } else { one }),
            (one, other) => one.or(other),
        }
    }
    let none = ResourceLimits::default();
    let (one, other) = (one.unwrap_or(&none), other.unwrap_or(&none));
    ResourceLimits {
        memory: least(one.memory, other.memory),
        cpu: least(one.cpu, other.cpu),
        pids: least(one.pids, other.pids),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use conductor_model::size::ByteSize;

    fn limits(memory: Option<u64>, cpu: Option<f64>, pids: Option<u32>) -> ResourceLimits {
        ResourceLimits { memory: memory.map(ByteSize), cpu, pids }
    }

    /// A folder that looks like a delegated group.
    fn pretended(controllers: &str) -> tempfile::TempDir {
        let mount = tempfile::tempdir().unwrap();
        let unit = mount.path().join("unit.service");
        fs::create_dir(&unit).unwrap();
        fs::write(unit.join("cgroup.controllers"), controllers).unwrap();
        mount
    }

    #[test]
    fn a_runner_takes_its_group_over_and_again_from_its_leaf() {
        let mount = pretended("cpuset cpu io memory pids\n");
        for own in ["0::/unit.service\n", "1:name=systemd:/x\n0::/unit.service/runner\n"] {
            let cgroups = Cgroups::take_over_at(mount.path(), own).unwrap();
            assert_eq!(cgroups.root, mount.path().join("unit.service"));
            let read = |file: &str| fs::read_to_string(cgroups.root.join(file)).unwrap();
            assert_eq!(read("runner/cgroup.procs"), std::process::id().to_string());
            assert_eq!(read("cgroup.subtree_control"), "+memory +cpu +pids");
        }
        assert!(Cgroups::take_over_at(mount.path(), "4:memory:/docker\n").is_err(), "version 1 is left alone");
        let bare = pretended("cpuset\n");
        assert!(Cgroups::take_over_at(bare.path(), "0::/unit.service\n").is_err());
        assert!(!bare.path().join("unit.service/runner").exists(), "nothing is half done");
    }

    #[test]
    fn limits_are_written_as_the_kernel_reads_them() {
        let mount = pretended("cpu memory pids");
        let cgroups = Cgroups::take_over_at(mount.path(), "0::/unit.service").unwrap();
        let task = cgroups.task("task-1", &limits(Some(64 << 20), Some(1.5), Some(20))).unwrap();
        let read = |file: &str| fs::read_to_string(task.dir.join(file)).unwrap();
        assert_eq!(read("memory.max"), "67108864");
        assert_eq!(read("memory.oom.group"), "1");
        assert_eq!(read("cpu.max"), "150000 100000");
        assert_eq!(read("pids.max"), "20");
        assert!(!task.ran_out_of_memory());
        fs::write(task.dir.join("memory.events"), "low 0\noom 1\noom_kill 2\n").unwrap();
        assert!(task.ran_out_of_memory());
        task.place(Pid::from_raw(42)).unwrap();
        assert_eq!(task.members(), [42]);
    }

    #[test]
    fn the_smaller_limit_wins() {
        let task = limits(Some(10), None, Some(5));
        let plugin = limits(Some(7), Some(0.5), Some(9));
        assert_eq!(smaller(Some(&task), Some(&plugin)), limits(Some(7), Some(0.5), Some(5)));
        assert_eq!(smaller(None, Some(&plugin)), plugin);
        assert_eq!(smaller(None, None), ResourceLimits::default());
    }
}
