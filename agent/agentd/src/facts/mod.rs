//! What the agent finds out about its host. Numbers that move all the time are rounded, so that facts change only when
//! something changed.

pub mod folder;

use std::collections::BTreeSet;
use std::path::Path;

use nix::ifaddrs::getifaddrs;
use serde_json::{Map, Value, json};
use sysinfo::{MemoryRefreshKind, System};

/// Free disk space is told in steps of this many bytes.
const DISK_STEP_BYTES: u64 = 1 << 30;
/// Memory is told in steps of this many bytes.
const MEMORY_STEP_BYTES: u64 = 1 << 20;

/// Collects all facts. Takes a few milliseconds. `data_dir` says which disk matters, `user` is whom tasks run as.
#[must_use]
pub fn collect(data_dir: &Path, user: &str) -> Map<String, Value> {
    let mut facts = Map::new();
    let mut put = |name: &str, value: Value| {
        facts.insert(name.to_owned(), value);
    };
    put("hostname", json!(hostname()));
    put(
        "os",
        json!({
            "name": System::name().ok(),
            "version": System::os_version().ok(),
            "kernel": System::kernel_version().ok(),
        }),
    );
    put("arch", json!(std::env::consts::ARCH));
    put("cpu", json!({ "count": processors(), "model": cpu_model() }));
    if let Ok(mut system) = System::new() {
        system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        put("memory", json!({ "total": system.total_memory() / MEMORY_STEP_BYTES * MEMORY_STEP_BYTES }));
    }
    if let Some(disk) = disk(data_dir) {
        put("disk", disk);
    }
    put("network", json!({ "addresses": addresses() }));
    put("user", json!(user));
    put("agent", json!({ "version": env!("CARGO_PKG_VERSION") }));
    facts
}

/// All facts: what is found out, and what the host's owner adds. Takes as long as the owner's programs do.
///
/// What is found out is not to be contradicted: an entry of the same name is left out.
pub fn collect_all(data_dir: &Path, user: &str, facts_dir: &Path) -> (Map<String, Value>, Vec<folder::FolderError>) {
    let (mut facts, faults) = folder::read(facts_dir);
    facts.extend(collect(data_dir, user));
    (facts, faults)
}

/// The host's name.
#[must_use]
pub fn hostname() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "localhost".to_owned())
}

/// The host's addresses except those of the loopback, in a stable order.
#[must_use]
pub fn addresses() -> Vec<String> {
    let Ok(interfaces) = getifaddrs() else { return Vec::new() };
    let found: BTreeSet<_> = interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let ip = match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
                (Some(v4), _) => std::net::IpAddr::V4(v4.ip()),
                (None, Some(v6)) => std::net::IpAddr::V6(v6.ip()),
                (None, None) => return None,
            };
            let is_local = match ip {
                std::net::IpAddr::V4(v4) => v4.is_loopback(),
                // Link-local addresses mean nothing to anybody else.
                std::net::IpAddr::V6(v6) => v6.is_loopback() || v6.is_unicast_link_local(),
            };
            (!is_local).then_some(ip)
        })
        .collect();
    found.into_iter().map(|ip| ip.to_string()).collect()
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn cpu_model() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn disk(dir: &Path) -> Option<Value> {
    let stat = rustix::fs::statvfs(dir).or_else(|_| rustix::fs::statvfs("/")).ok()?;
    let (total, free) = (stat.f_blocks * stat.f_frsize, stat.f_bavail * stat.f_frsize);
    Some(json!({ "total": total, "free": free / DISK_STEP_BYTES * DISK_STEP_BYTES }))
}
