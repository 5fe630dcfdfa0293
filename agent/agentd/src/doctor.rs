//! `conductor-agent doctor`: everything that a person would look at when an agent does not do what it should.

use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use conductor_boot::doctor::Findings;
use conductor_boot::report;
use conductor_model::Timestamp;
use nix::unistd::User;
use reqwest::Url;

use crate::clock;
use crate::cmd::runtime;
use crate::identity::{self, Identity};
use crate::instance::{self, ACCOUNT, Instance};
use crate::link::note;
use crate::link::probe::{self, ProbeError};
use crate::policy::{self, PolicyFile};
use crate::settings::{Settings, service_socket};
use crate::sys::confine::can_limit_paths;

const JOIN: &str = "conductor-agent enroll STRING, with a string that `conductor agents token create` prints";
const JOIN_AGAIN: &str = "conductor-agent enroll --again STRING, then systemctl restart conductor-agent";
const HOUR_MS: i64 = 60 * 60 * 1000;
/// Certificates are good from five minutes before they are made.
const CLOCKS_APART_SECONDS_MAX: i64 = 120;
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Controllers without which limits of tasks cannot hold.
const CONTROLLERS: &[&str] = &["memory", "cpu", "pids"];

/// Looks at everything. Changes nothing.
#[must_use]
pub fn examine(file: Option<PathBuf>) -> Findings {
    let mut findings = Findings::default();
    let instance = Instance::of(file.as_deref());
    let settings: Settings = match instance::loader(file, None).load() {
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
    policy(&mut findings);
    let identity = match Identity::load(&identity::folder(&settings.data_dir)) {
        Ok(identity) => identity,
        Err(error) => {
            findings.bad("identity", report(&error).to_string(), JOIN);
            return findings;
        }
    };
    if settings.token.is_empty() && identity.is_none() {
        findings.bad("membership", "this host has not joined a manager; the agent idles", JOIN);
        return findings;
    }
    if let Some(identity) = &identity {
        certificate(identity, &mut findings);
    }
    let address = identity.as_ref().map_or(settings.manager.as_str(), |identity| identity.note.manager.as_str());
    if manager(address, &mut findings)
        && let Some(identity) = &identity
    {
        clocks(identity, &mut findings);
        let runtime = runtime();
        if let Ok(runtime) = &runtime {
            runtime.block_on(membership(identity, &mut findings));
            runtime.block_on(broker(&settings, identity, &mut findings));
        }
    }
    findings.unit("service", &instance::unit_of(instance.as_ref()));
    let user = if settings.runner.user.is_empty() { ACCOUNT.to_owned() } else { settings.runner.user.clone() };
    runner(&settings, &user, &mut findings);
    controllers(&user, &mut findings);
    findings
}

/// Whether the manager knows this host's certificate.
async fn membership(identity: &Identity, findings: &mut Findings) {
    let what = "membership";
    let path = format!("{}/api/v1/agents/{}", identity.note.manager, identity.note.id);
    let asked = async {
        let authority = reqwest::Certificate::from_pem(identity.authority.as_bytes())?;
        let shown = reqwest::Identity::from_pem(format!("{}{}", identity.certificate, identity.key).as_bytes())?;
        let builder = reqwest::Client::builder().no_proxy().timeout(ANSWER_MAX).tls_certs_only([authority]).identity(shown);
        Ok::<_, reqwest::Error>(builder.build()?.get(path).send().await?.status().as_u16())
    };
    match asked.await {
        Ok(200) => findings.good(what, "the manager takes this host's certificate"),
        Ok(404) => findings.warning(what, "the manager has not heard of this agent yet", "start it; see `service`"),
        Ok(401 | 403) => {
            let seen = "the manager does not take this host's certificate: it was revoked, replaced or is another manager's";
            findings.bad(what, seen, JOIN_AGAIN);
        }
        Ok(status) => findings.warning(what, format!("the manager answers {status}"), "see `conductor-manager doctor` there"),
        Err(error) => findings.bad(what, report(&error).to_string(), "see `manager` and `manager's identity`"),
    }
}

/// Whether RabbitMQ lets this agent in, at the address that the manager gave it last.
async fn broker(settings: &Settings, identity: &Identity, findings: &mut Findings) {
    let noted = note::read(&settings.data_dir);
    let Some(url) = noted.or_else(|| note::likely(&identity.note.manager)) else { return };
    match probe::log_in(&url, identity).await {
        Ok(()) => findings.good("RabbitMQ", format!("lets this agent in at {url}")),
        Err(error) => {
            let fix = match error {
                ProbeError::Silent | ProbeError::Away(_) => {
                    "open the way to it in packet filters; `conductor-manager doctor` on the manager's host looks at RabbitMQ itself"
                }
                ProbeError::Untrusted(_) | ProbeError::Foreign(_) => {
                    "conductor-manager setup, on the manager's host, which has RabbitMQ show a certificate of its authority; or set \
                     broker.agent_url there to where RabbitMQ is"
                }
                ProbeError::Refused(_) => JOIN_AGAIN,
            };
            findings.bad("RabbitMQ", format!("{url}: {}", report(&error)), fix);
        }
    }
}

/// What the host forbids must be understood, or nothing runs.
fn policy(findings: &mut Findings) {
    if !Path::new(policy::DEFAULT_FILE).exists() {
        return;
    }
    match PolicyFile::new(policy::DEFAULT_FILE.into()).policy() {
        Err(reason) => findings.bad("policy", reason, "mend the file"),
        Ok(policy) if !policy.paths.is_unlimited() && !can_limit_paths() => findings.bad(
            "policy",
            "it limits paths, which this kernel cannot do, so that every task is refused".to_owned(),
            "boot Linux 5.13 or newer with Landlock among its security modules, or take [paths] out of the file",
        ),
        Ok(_) => findings.good("policy", "is understood"),
    }
}

/// Whether the manager takes connections.
fn manager(address: &str, findings: &mut Findings) -> bool {
    let target = Url::parse(address).ok().and_then(|url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?)));
    let Some((host, port)) = target else {
        findings.bad("manager", format!("{address:?} is no address"), "set `manager`, as in https://HOST:53333");
        return false;
    };
    let resolved = (host.trim_matches(['[', ']']), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
    let addresses = match resolved {
        Ok(addresses) => addresses,
        Err(error) => {
            findings.bad("manager", format!("{host}: {error}"), "mend the name service, or /etc/hosts");
            return false;
        }
    };
    let mut last = "it has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, ANSWER_MAX) {
            Ok(_) => {
                findings.good("manager", format!("takes connections at {address}"));
                return true;
            }
            Err(error) => last = format!("{address}: {error}"),
        }
    }
    findings.bad("manager", last, "start conductor-manager there, or open the way to it in packet filters");
    false
}

/// Whether this host's certificate is good, and how long yet.
fn certificate(identity: &Identity, findings: &mut Findings) {
    let note = &identity.note;
    let left_ms = note.expires_at.0 - clock::now().0;
    let who = format!("agent {} of {}", note.id, note.manager);
    if left_ms <= 0 {
        return findings.bad("identity", format!("{who}, whose certificate is good no more"), JOIN_AGAIN);
    }
    // It is renewed when a third of its life is left.
    let life_ms = note.expires_at.0 - note.issued_at.0;
    let seen = format!("{who}, certified for {} hours yet", left_ms / HOUR_MS);
    if left_ms < life_ms / 6 {
        let fix = "see `manager` and the journal of conductor-agent: it should have been renewed by now";
        return findings.warning("identity", seen, fix);
    }
    findings.good("identity", seen);
}

/// Whether this host and the manager's agree on the time; with another time certificates are not believed.
fn clocks(identity: &Identity, findings: &mut Findings) {
    let fix = "set this host's clock, or the manager's; chrony or systemd-timesyncd keep it right";
    let there = match runtime().map(|runtime| runtime.block_on(time_there(identity))) {
        Ok(Ok(Some(there))) => there,
        Ok(Ok(None)) => return findings.warning("manager's clock", "it does not tell the time", "look at what stands between"),
        Ok(Err(error)) => {
            let fix =
                "is the manager's certificate for another name, or its authority another? `conductor-manager doctor` says";
            return findings.bad("manager's identity", report(&error).to_string(), fix);
        }
        Err(error) => return findings.warning("manager's clock", report(&error).to_string(), "try again"),
    };
    let off_s = (clock::now().0 - there.0) / 1000;
    match off_s.abs() {
        0..=CLOCKS_APART_SECONDS_MAX => findings.good("manager's clock", format!("{off_s} s from this host's")),
        apart => findings.bad("manager's clock", format!("{apart} s from this host's"), fix),
    }
}

/// What time it is where the manager runs, as its answers say.
async fn time_there(identity: &Identity) -> Result<Option<Timestamp>, reqwest::Error> {
    let authority = reqwest::Certificate::from_pem(identity.authority.as_bytes())?;
    let builder = reqwest::Client::builder().no_proxy().timeout(ANSWER_MAX).tls_certs_only([authority]);
    let answer = builder.build()?.get(format!("{}/health", identity.note.manager)).send().await?;
    let date = answer.headers().get(reqwest::header::DATE).and_then(|date| date.to_str().ok());
    let since = date.and_then(|date| httpdate::parse_http_date(date).ok()?.duration_since(UNIX_EPOCH).ok());
    Ok(since.and_then(|since| i64::try_from(since.as_millis()).ok()).map(Timestamp))
}

/// Whether there is somebody to start plugins.
fn runner(settings: &Settings, user: &str, findings: &mut Findings) {
    let socket = settings.runner.effective_socket().unwrap_or_else(|| service_socket(user));
    let fix = format!("systemctl enable --now conductor-runner@{user}; it says in its journal why it does not run");
    match UnixStream::connect(&socket) {
        Ok(_) => findings.good("runner", format!("answers at {}", socket.display())),
        Err(error) => findings.bad("runner", format!("{}: {error}", socket.display()), fix),
    }
}

/// Whether limits of tasks can hold.
fn controllers(user: &str, findings: &mut Findings) {
    let what = "limits";
    let Ok(all) = std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers") else {
        let fix = "boot with systemd.unified_cgroup_hierarchy=1; until then tasks have limits of single processes only";
        return findings.warning(what, "there is no cgroup v2 on this host", fix);
    };
    let given = delegated(user).unwrap_or(all);
    let missing: Vec<&str> =
        CONTROLLERS.iter().copied().filter(|name| !given.split_whitespace().any(|given| given == *name)).collect();
    if missing.is_empty() {
        return findings.good(what, "tasks can be limited in memory, processor and processes");
    }
    let fix = "keep Delegate=memory cpu pids in conductor-runner@.service, and restart the runner";
    findings.warning(what, format!("the runner has no {} controller", missing.join(", no ")), fix);
}

/// The controllers that systemd gave the runner, where it runs.
fn delegated(user: &str) -> Option<String> {
    let unit = format!("conductor-runner@{user}.service");
    let asked = std::process::Command::new("systemctl").args(["show", "--property=ControlGroup", "--value", &unit]).output();
    let group = String::from_utf8(asked.ok()?.stdout).ok()?;
    let group = group.trim().trim_start_matches('/');
    if group.is_empty() {
        return None;
    }
    std::fs::read_to_string(Path::new("/sys/fs/cgroup").join(group).join("cgroup.controllers")).ok()
}
