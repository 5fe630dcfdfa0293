//! What a runner keeps over the end of its process, and replacing its program in place.

use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use conductor_model::AgentId;
use serde::{Deserialize, Serialize};

use super::Kept;
use super::serve::Desks;

/// Where it is kept, in the runner's folder.
const FILE: &str = "kept.json";
/// What the kernel puts behind the path of a program that was replaced.
const DELETED: &str = " (deleted)";

/// What is kept.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct All {
    /// The runner's life, where it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life: Option<String>,
    /// By agent.
    pub desks: Vec<(AgentId, Kept)>,
}

/// Takes what an earlier process kept. It is gone from the disk then: a life that goes on twice would not be one.
#[must_use]
pub fn take(data: &Path) -> All {
    let file = data.join(FILE);
    let text = match std::fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return All::default(),
        Err(error) => {
            tracing::error!(path = %file.display(), %error, "what the runner kept cannot be read; its tasks are lost");
            return All::default();
        }
    };
    if let Err(error) = std::fs::remove_file(&file) {
        tracing::error!(path = %file.display(), %error, "what the runner kept cannot be taken; its tasks are lost");
        return All::default();
    }
    serde_json::from_slice(&text).unwrap_or_else(|error| {
        tracing::error!(path = %file.display(), %error, "what the runner kept cannot be understood; its tasks are lost");
        All::default()
    })
}

/// Writes what is to be kept; with a life where it goes on. Whether that was done.
pub fn put_by(desks: &Desks, life: Option<String>) -> bool {
    let mut all = All { life, desks: Vec::new() };
    for desk in desks.all() {
        match desk.put_by() {
            Ok(kept) => all.desks.push((desk.agent.clone(), kept)),
            Err(error) => {
                tracing::error!(agent = %desk.agent, %error, "what the agent has not taken cannot be put by");
                return false;
            }
        }
    }
    // What no agent has come for since the last time.
    let absent: Vec<_> = desks.kept.borrow_mut().drain().collect();
    all.desks.extend(absent.iter().cloned());
    if all.life.is_none() && all.desks.iter().all(|(_, kept)| kept.ended.is_empty()) {
        return true;
    }
    let file = desks.house.data.join(FILE);
    let written = serde_json::to_vec(&all).map_err(io::Error::from).and_then(|text| {
        let beside = file.with_extension("new");
        let mut out = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        io::Write::write_all(&mut out, &text)?;
        out.sync_all()?;
        std::fs::rename(&beside, &file)
    });
    if let Err(error) = &written {
        tracing::error!(path = %file.display(), %error, "what the agents have not taken cannot be put by");
        // This process goes on with it, perhaps.
        desks.kept.borrow_mut().extend(absent);
    }
    written.is_ok()
}

/// Replaces the program of this process by the one that lies in its place now. Returns when that did not succeed. No task
/// runs; agents connect again and say what got lost on the way.
pub fn renew(desks: &Desks) {
    if !put_by(desks, Some(desks.life.clone())) {
        return;
    }
    desks.all().iter().for_each(|desk| desk.host.pools.close());
    let error = match program() {
        Ok(program) => Command::new(program).args(std::env::args_os().skip(1)).exec(),
        Err(error) => error,
    };
    tracing::error!(%error, "the runner cannot replace its program; it goes on with the old one");
    // It goes on itself: nobody else may.
    drop(take(&desks.house.data));
}

/// Where this process's program lies, or lay before an upgrade.
fn program() -> io::Result<PathBuf> {
    let path = std::fs::read_link("/proc/self/exe")?;
    let text = path.to_string_lossy();
    Ok(text.strip_suffix(DELETED).map_or_else(|| path.clone(), PathBuf::from))
}
