//! `conductor-agent doctor`: everything that a person would look at when an agent does not do what it should.

use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use conductor_boot::doctor::Findings;
use conductor_boot::{Loader, report};
use nix::unistd::User;
use reqwest::Url;

use crate::settings::{DEFAULT_FILE, Settings};

const ACCOUNT: &str = "conductor-agent";
/// Below the data folder: who this host is.
const IDENTITY: &str = "identity/identity.json";
const SOCKETS: &str = "/run/conductor-runner";
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Controllers without which limits of tasks cannot hold.
const CONTROLLERS: &[&str] = &["memory", "cpu", "pids"];

/// Looks at everything. Changes nothing.
#[must_use]
pub fn examine(file: Option<PathBuf>) -> Findings {
    let mut findings = Findings::default();
    let settings: Settings = match Loader::new(DEFAULT_FILE).file(file).load() {
        Ok(loaded) => loaded.settings,
        Err(error) => {
            findings.bad("settings", report(&error).to_string(), "mend the file");
            return findings;
        }
    };
    findings.good("settings", "can be used");
    let account = User::from_name(ACCOUNT).ok().flatten();
    if account.is_none() {
        findings.warning("account", format!("there is no account `{ACCOUNT}`"), "install the package conductor-agent");
    }
    findings.folder("data folder", &settings.data_dir, ACCOUNT, account.map(|user| user.uid.as_raw()), true);
    match nix::sys::statvfs::statvfs(&settings.data_dir) {
        Ok(disk) => findings.disk(
            &settings.data_dir,
            disk.blocks_available() * disk.fragment_size(),
            disk.blocks() * disk.fragment_size(),
        ),
        Err(error) => findings.warning("disk", format!("{}: {error}", settings.data_dir.display()), "see the data folder"),
    }
    findings.clock_is_kept();
    if settings.token.is_empty() && !settings.data_dir.join(IDENTITY).exists() {
        let fix = "write `manager` and `token` into /etc/conductor/agent.conf.d/10-manager.toml, then start conductor-agent";
        findings.bad("membership", "this host has not joined a manager; the agent idles", fix);
        return findings;
    }
    manager(&settings.manager, &mut findings);
    findings.unit("service", "conductor-agent.service");
    runner(&mut findings);
    controllers(&mut findings);
    findings
}

fn manager(address: &str, findings: &mut Findings) {
    let target = Url::parse(address).ok().and_then(|url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?)));
    let Some((host, port)) = target else {
        return findings.bad("manager", format!("{address:?} is no address"), "set `manager`, as in https://HOST:53333");
    };
    let resolved = (host.trim_matches(['[', ']']), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
    let addresses = match resolved {
        Ok(addresses) => addresses,
        Err(error) => return findings.bad("manager", format!("{host}: {error}"), "mend the name service, or /etc/hosts"),
    };
    let mut last = "it has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, ANSWER_MAX) {
            Ok(_) => return findings.good("manager", format!("takes connections at {address}")),
            Err(error) => last = format!("{address}: {error}"),
        }
    }
    findings.bad("manager", last, "start conductor-manager there, or open the way to it in packet filters");
}

/// Whether there is somebody to start plugins.
fn runner(findings: &mut Findings) {
    let socket = Path::new(SOCKETS).join(format!("{ACCOUNT}.sock"));
    let fix = format!("systemctl restart conductor-runner@{ACCOUNT}; it says in its journal why it does not run");
    match UnixStream::connect(&socket) {
        Ok(_) => findings.good("runner", format!("answers at {}", socket.display())),
        Err(error) => findings.bad("runner", format!("{}: {error}", socket.display()), fix),
    }
}

/// Whether limits of tasks can hold.
fn controllers(findings: &mut Findings) {
    let what = "limits";
    let Ok(all) = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers") else {
        let fix = "boot with systemd.unified_cgroup_hierarchy=1; until then tasks have limits of single processes only";
        return findings.warning(what, "there is no cgroup v2 on this host", fix);
    };
    let given = delegated().unwrap_or(all);
    let missing: Vec<&str> =
        CONTROLLERS.iter().copied().filter(|name| !given.split_whitespace().any(|given| given == *name)).collect();
    if missing.is_empty() {
        return findings.good(what, "tasks can be limited in memory, processor and processes");
    }
    let fix = "keep Delegate=memory cpu pids in conductor-runner@.service, and restart the runner";
    findings.warning(what, format!("the runner has no {} controller", missing.join(", no ")), fix);
}

/// The controllers that systemd gave the runner, where it runs.
fn delegated() -> Option<String> {
    let unit = format!("conductor-runner@{ACCOUNT}.service");
    let asked = std::process::Command::new("systemctl").args(["show", "--property=ControlGroup", "--value", &unit]).output();
    let group = String::from_utf8(asked.ok()?.stdout).ok()?;
    let group = group.trim().trim_start_matches('/');
    if group.is_empty() {
        return None;
    }
    std::fs::read_to_string(Path::new("/sys/fs/cgroup").join(group).join("cgroup.controllers")).ok()
}
