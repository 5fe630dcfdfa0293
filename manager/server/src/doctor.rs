//! `conductor-manager doctor`: everything that a person would look at when a manager does not do what it should.

mod management;

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use conductor_boot::doctor::Findings;
use conductor_boot::report;
use nix::unistd::User;
use tokio::net::TcpStream;

use crate::broker::probe::{self, ProbeError};
use crate::config::{self, AgentAccounts, Flags, Settings};
use crate::pki::good_until;
use crate::{clock, health};

const ACCOUNT: &str = "conductor";
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Where `setup` puts what RabbitMQ shows of itself.
const BROKER_KEYS: &str = "/etc/rabbitmq/conductor";
const RENEW: &str = "systemctl restart conductor-manager; conductor-manager setup";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Sooner than this a certificate is one to look after.
const RENEW_DAYS: i64 = 30;

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
    certificates(&settings, &mut findings);
    answers(&settings, &mut findings).await;
    broker(&settings, &mut findings).await;
    management::examine(&settings, &mut findings).await;
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
    let address = health::own_address(settings);
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
    // One that cannot be read is told among the certificates.
    let authority = std::fs::read_to_string(settings.pki_dir().join("ca.crt")).unwrap_or_default();
    let health = match health::ask(settings, &authority).await {
        Ok(health) => health,
        Err(error) => {
            let fix = "systemctl restart conductor-manager, which makes a certificate that fits tls.names; see its journal";
            findings.bad("health", report(&error).to_string(), fix);
            return;
        }
    };
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

/// Whether certificates are good for some time yet, and RabbitMQ has the one that was made for it.
fn certificates(settings: &Settings, findings: &mut Findings) {
    let pki = settings.pki_dir();
    let own_broker = settings.broker.agent_accounts == AgentAccounts::Certificate && Path::new(BROKER_KEYS).exists();
    let mut looked_at = vec![pki.join("ca.crt")];
    if settings.tls.enabled {
        looked_at.push(pki.join("server.crt"));
    }
    if own_broker {
        looked_at.push(Path::new(BROKER_KEYS).join("broker.crt"));
    }
    for path in looked_at {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                findings.bad("certificate", format!("{}: {error}", path.display()), "conductor-manager setup");
                continue;
            }
        };
        let left_ms = good_until(&text).map_or(i64::MIN, |until| until.0 - clock::now().0);
        let seen = |what: &str| format!("{}: {what}", path.display());
        match left_ms / DAY_MS {
            ..1 => findings.bad("certificate", seen("it is not good, or not for another day"), RENEW),
            days @ 1..RENEW_DAYS => findings.warning("certificate", seen(&format!("good for {days} days")), RENEW),
            days => findings.good("certificate", seen(&format!("good for {days} days"))),
        }
    }
    let read = |folder: &Path| std::fs::read(folder.join("broker.crt")).ok();
    if own_broker && read(&pki) != read(Path::new(BROKER_KEYS)) {
        findings.bad("certificate", format!("{BROKER_KEYS} has another than {} has", pki.display()), RENEW);
    }
}

/// Whether RabbitMQ is where it should be, and lets the manager in.
async fn broker(settings: &Settings, findings: &mut Findings) {
    let shown = settings.broker.url.to_string();
    let Some((host, port)) = settings.broker.url.host_and_port() else {
        findings.bad("broker", format!("{shown} names no host"), "set broker.url");
        return;
    };
    match tokio::time::timeout(ANSWER_MAX, TcpStream::connect((host.as_str(), port))).await {
        Ok(Ok(_)) => log_in(settings, &shown, findings).await,
        Ok(Err(error)) => {
            let fix =
                "systemctl restart rabbitmq-server, or set broker.url to where it is; `conductor-manager setup` mends both";
            findings.bad("broker", format!("{host}:{port}: {error}"), fix);
        }
        Err(_) => findings.bad("broker", format!("{host}:{port}: no answer"), "look for a packet filter on the way"),
    }
}

async fn log_in(settings: &Settings, shown: &str, findings: &mut Findings) {
    // One that cannot be read is told among the certificates.
    let own = std::fs::read_to_string(settings.pki_dir().join("ca.crt")).unwrap_or_default();
    let error = match probe::log_in(&settings.broker, &own).await {
        Ok(()) => return findings.good("broker", format!("lets the manager in at {shown}")),
        Err(error) => error,
    };
    let fix = match error {
        ProbeError::Authority(_) => {
            "set broker.ca_file to a file with the authority of RabbitMQ's certificate, readable for `conductor`"
        }
        ProbeError::Away(_) => "systemctl restart rabbitmq-server, or set broker.url to where it is",
        ProbeError::Untrusted(_) => {
            "conductor-manager setup, which has RabbitMQ on this host show our certificate; for one elsewhere set broker.ca_file"
        }
        ProbeError::Foreign(_) => {
            "set broker.url to amqps:// where RabbitMQ speaks TLS and to amqp:// where it does not, with the port of that: \
             rabbitmq-diagnostics listeners"
        }
        ProbeError::Refused(_) => {
            "conductor-manager setup, which mends the manager's account; or set broker.url to an account and a virtual host that \
             are there: rabbitmqctl list_users, rabbitmqctl list_vhosts"
        }
    };
    findings.bad("broker", format!("{shown}: {}", report(&error)), fix);
}
