//! `conductor-manager doctor`: everything that a person would look at when a manager does not do what it should.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use conductor_boot::doctor::Findings;
use conductor_boot::report;
use nix::unistd::User;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::config::{self, Flags, Settings};

const ACCOUNT: &str = "conductor";
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Looks at everything. Changes nothing.
pub async fn examine(flags: &Flags) -> Findings {
    let mut findings = Findings::default();
    let settings = match config::load(flags) {
        Ok(loaded) => loaded.settings,
        Err(error) => {
            findings.bad("settings", report(&error).to_string(), "mend the file; `conductor-manager config check` tries it");
            return findings;
        }
    };
    findings.good("settings", "can be used; `conductor-manager config check` shows them");
    folders(&settings, &mut findings);
    findings.unit("service", "conductor-manager.service");
    findings.clock_is_kept();
    answers(&settings, &mut findings).await;
    broker(&settings, &mut findings).await;
    findings
}

fn folders(settings: &Settings, findings: &mut Findings) {
    let account = User::from_name(ACCOUNT).ok().flatten();
    if account.is_none() {
        findings.warning("account", format!("there is no account `{ACCOUNT}`"), "install the package conductor-manager");
    }
    findings.folder("data folder", &settings.data_dir, ACCOUNT, account.as_ref().map(|user| user.uid.as_raw()), false);
    match nix::sys::statvfs::statvfs(&settings.data_dir) {
        Ok(disk) => findings.disk(
            &settings.data_dir,
            disk.blocks_available() * disk.fragment_size(),
            disk.blocks() * disk.fragment_size(),
        ),
        Err(error) => findings.warning("disk", format!("{}: {error}", settings.data_dir.display()), "see the data folder"),
    }
    let database = settings.store_path();
    match std::fs::metadata(&database) {
        Ok(metadata) if account.is_none_or(|user| user.uid.as_raw() == metadata.uid()) => {
            findings.good("database", format!("{} with {} MiB", database.display(), metadata.len() >> 20));
        }
        Ok(_) => {
            let fix = format!("chown {ACCOUNT}:{ACCOUNT} {}*", database.display());
            findings.bad("database", format!("{} does not belong to {ACCOUNT}", database.display()), fix);
        }
        Err(error) => findings.bad("database", format!("{}: {error}", database.display()), "conductor-manager setup"),
    }
    packages(settings, findings);
}

fn packages(settings: &Settings, findings: &mut Findings) {
    let found = crate::app::packages::folders(settings).into_iter().find(|folder| has_packages(folder));
    match found {
        Some(folder) => findings.good("packages", format!("hosts that join get the agent from {}", folder.display())),
        None => findings.warning(
            "packages",
            "no packages of the agent: the one-line installer cannot serve hosts that join",
            format!("put conductor-agent.deb, .rpm or .tar.gz into {}", settings.data_dir.join("packages").display()),
        ),
    }
}

fn has_packages(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

/// Whether the manager itself answers, and what it says of its parts.
async fn answers(settings: &Settings, findings: &mut Findings) {
    let port = settings.listen.port();
    let ip = if settings.listen.ip().is_unspecified() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { settings.listen.ip() };
    let address = SocketAddr::from((ip, port));
    match tokio::time::timeout(ANSWER_MAX, TcpStream::connect(address)).await {
        Ok(Ok(_)) => findings.good("REST API", format!("takes connections at {address}")),
        Ok(Err(error)) => {
            findings.bad("REST API", format!("{address}: {error}"), "systemctl restart conductor-manager; see its journal");
            return;
        }
        Err(_) => {
            findings.bad("REST API", format!("{address}: no answer"), "look for a packet filter between here and there");
            return;
        }
    }
    let Some(health) = health(address).await else { return };
    for part in health["healthResults"].as_array().into_iter().flatten() {
        let error = part["details"]["error"].as_str().unwrap_or_default();
        match part["details"]["name"].as_str() {
            Some("broker") if error.is_empty() => findings.good("session", "the manager is connected to RabbitMQ"),
            Some("broker") => findings.bad("session", error, "see `broker`; the manager goes on trying by itself"),
            Some("store") if !error.is_empty() => {
                findings.bad("store", error, "see `disk` and `database`, and the journal of conductor-manager");
            }
            Some(_) | None => {}
        }
    }
}

async fn health(address: SocketAddr) -> Option<Value> {
    let http = reqwest::Client::builder().no_proxy().timeout(ANSWER_MAX).build().ok()?;
    http.get(format!("http://{address}/health")).send().await.ok()?.json().await.ok()
}

/// Whether something listens where the broker should be.
async fn broker(settings: &Settings, findings: &mut Findings) {
    let shown = settings.broker.url.to_string();
    let Some((host, port)) = settings.broker.url.host_and_port() else {
        findings.bad("broker", format!("{shown} names no host"), "set broker.url");
        return;
    };
    match tokio::time::timeout(ANSWER_MAX, TcpStream::connect((host.as_str(), port))).await {
        Ok(Ok(_)) => findings.good("broker", format!("takes connections at {host}:{port}")),
        Ok(Err(error)) => {
            let fix =
                "systemctl restart rabbitmq-server, or set broker.url to where it is; `conductor-manager setup` mends both";
            findings.bad("broker", format!("{host}:{port}: {error}"), fix);
        }
        Err(_) => findings.bad("broker", format!("{host}:{port}: no answer"), "look for a packet filter on the way"),
    }
}
