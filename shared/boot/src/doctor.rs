//! What `doctor` commands of the programs have in common: findings, and how they are shown.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

/// How one thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Good,
    /// It works, but will not for long, or not well.
    Warning,
    /// It does not work.
    Bad,
}

/// What was looked at, how it is, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, in a word or two.
    pub what: &'static str,
    /// How it is.
    pub health: Health,
    /// What was seen.
    pub seen: String,
    /// What to do; empty where nothing is to be done.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fix: String,
}

/// All findings, in the order in which they were made.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    /// One for each thing.
    pub findings: Vec<Finding>,
}

impl Findings {
    /// Notes something that is as it should be.
    pub fn good(&mut self, what: &'static str, seen: impl Into<String>) {
        self.findings.push(Finding { what, health: Health::Good, seen: seen.into(), fix: String::new() });
    }

    /// Notes something that had better be changed.
    pub fn warning(&mut self, what: &'static str, seen: impl Into<String>, fix: impl Into<String>) {
        self.findings.push(Finding { what, health: Health::Warning, seen: seen.into(), fix: fix.into() });
    }

    /// Notes something that must be changed.
    pub fn bad(&mut self, what: &'static str, seen: impl Into<String>, fix: impl Into<String>) {
        self.findings.push(Finding { what, health: Health::Bad, seen: seen.into(), fix: fix.into() });
    }

    /// The worst of all.
    #[must_use]
    pub fn worst(&self) -> Health {
        self.findings.iter().map(|finding| finding.health).max().unwrap_or(Health::Good)
    }

    /// For people: a line each, the remedy below.
    #[must_use]
    pub fn table(&self) -> String {
        let width = self.findings.iter().map(|finding| finding.what.len()).max().unwrap_or(0);
        let mut text = String::new();
        for Finding { what, health, seen, fix } in &self.findings {
            let mark = match health {
                Health::Good => "ok",
                Health::Warning => "warning",
                Health::Bad => "WRONG",
            };
            // Writing to a text cannot fail.
            let _ = writeln!(text, "{mark:<7}  {what:<width$}  {seen}");
            if !fix.is_empty() {
                let _ = writeln!(text, "{:9}{:width$}  → {fix}", "", "");
            }
        }
        text
    }

    /// For programs: an object with the list `findings`.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Looks at a folder that `account` keeps its data in: whether it is there, is the account's, and closed to others.
    pub fn folder(&mut self, what: &'static str, path: &Path, account: &str, uid: Option<u32>, open_to_others: bool) {
        let shown = path.display();
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => {
                return self.bad(what, format!("{shown}: {error}"), format!("install -d -o {account} -g {account} {shown}"));
            }
        };
        if uid.is_some_and(|uid| uid != metadata.uid()) {
            let fix = format!("chown -R {account}:{account} {shown}");
            return self.bad(what, format!("{shown} does not belong to {account}"), fix);
        }
        let others = metadata.mode() & 0o006;
        if others != 0 && !open_to_others {
            return self.bad(what, format!("{shown} is open to everybody on this host"), format!("chmod o-rw {shown}"));
        }
        self.good(what, format!("{shown} belongs to {account}"));
    }

    /// Looks at the room on the disk under `path`.
    pub fn disk(&mut self, path: &Path, free_bytes: u64, total_bytes: u64) {
        const BAD_BELOW: u64 = 100 << 20;
        const WARNING_BELOW: u64 = 1 << 30;
        let seen = format!("{} MiB of {} MiB free under {}", free_bytes >> 20, total_bytes >> 20, path.display());
        let fix = "make room, or give it a larger disk: without room no work is taken";
        match free_bytes {
            free if free < BAD_BELOW => self.bad("disk", seen, fix),
            free if free < WARNING_BELOW => self.warning("disk", seen, fix),
            _ => self.good("disk", seen),
        }
    }

    /// Looks at a unit of systemd, where systemd runs.
    pub fn unit(&mut self, what: &'static str, unit: &str) {
        if !Path::new("/run/systemd/system").is_dir() {
            return self.warning(what, "systemd does not run here", "start the program by other means");
        }
        let asked = Command::new("systemctl").args(["is-active", unit]).output();
        let state = asked.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
        match state.as_str() {
            "active" => self.good(what, format!("{unit} is active")),
            state => {
                let fix = format!("systemctl enable --now {unit}; `journalctl -u {unit}` says why it ended");
                self.bad(what, format!("{unit} is {state}"), fix);
            }
        }
    }

    /// Looks at whether something keeps the clock right.
    pub fn clock_is_kept(&mut self) {
        let asked = Command::new("timedatectl").args(["show", "--property=NTPSynchronized", "--value"]).output();
        let synchronised = asked.is_ok_and(|output| output.stdout.starts_with(b"yes"));
        if synchronised {
            return self.good("clock", "kept right by the network");
        }
        let fix = "install and start chrony or systemd-timesyncd: certificates and timeouts need a right clock";
        self.warning("clock", "nothing keeps it right, as far as systemd knows", fix);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_counts_and_each_remedy_is_shown() {
        let mut findings = Findings::default();
        findings.good("settings", "fine");
        assert_eq!(findings.worst(), Health::Good);
        findings.warning("clock", "drifts", "install chrony");
        findings.bad("broker", "away", "start it");
        assert_eq!(findings.worst(), Health::Bad);
        let table = findings.table();
        assert!(table.contains("ok       settings  fine\n"), "{table}");
        assert!(table.contains("WRONG    broker    away\n") && table.contains("→ start it"), "{table}");
        let json: serde_json::Value = serde_json::from_str(&findings.json()).unwrap();
        assert_eq!(json["findings"][1]["health"], "warning");
        assert_eq!(json["findings"][0].get("fix"), None);
    }

    #[test]
    fn a_folder_that_is_open_or_missing_is_bad() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::TempDir::new().unwrap();
        let look = |path: &Path, uid| {
            let mut findings = Findings::default();
            findings.folder("data", path, "me", uid, false);
            findings.worst()
        };
        let uid = fs::metadata(folder.path()).unwrap().uid();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o750)).unwrap();
        assert_eq!(look(folder.path(), Some(uid)), Health::Good);
        assert_eq!(look(folder.path(), Some(uid + 1)), Health::Bad);
        assert_eq!(look(&folder.path().join("none"), Some(uid)), Health::Bad);
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(look(folder.path(), Some(uid)), Health::Bad);
    }
}
