//! Facts that the host's owner adds: a folder with files and programs.
//!
//! `NAME.json` and `NAME.toml` are read, programs are run and print JSON; each becomes the fact `NAME`. What is not readable,
//! too large or too slow is left out and said in the log; it never keeps the agent from its work.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use figment::Figment;
use figment::providers::{Format, Toml};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::fs::{MemfdFlags, memfd_create};
use serde_json::{Map, Value};
use thiserror::Error;

/// Where they lie unless another folder is named.
pub const DEFAULT: &str = "/etc/conductor/facts.d";
/// Most entries that are looked at.
const ENTRIES_MAX: usize = 64;
/// Largest file or output in bytes.
const BYTES_MAX: u64 = 64 * 1024;
/// Longest run of a program.
const RUN_MAX: Duration = Duration::from_secs(5);
/// How often is looked whether a program has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Why an entry gives no fact.
#[derive(Debug, Error)]
pub enum FolderError {
    /// The folder cannot be listed.
    #[error("the folder {path} cannot be read")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It has too many entries.
    #[error("the folder {path} has more than {ENTRIES_MAX} entries; only the first {ENTRIES_MAX} by name are looked at")]
    TooMany {
        /// Which.
        path: PathBuf,
    },
    /// The entry cannot be read or run.
    #[error("{path} cannot be read or run")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The entry, or what it prints, is too large.
    #[error("{path} gives more than {BYTES_MAX} bytes")]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// What it says is not understood.
    #[error("{path} is not understood: {reason}")]
    Syntax {
        /// Which.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// The program took too long.
    #[error("{path} took longer than {} s and was ended", RUN_MAX.as_secs())]
    Slow {
        /// Which.
        path: PathBuf,
    },
    /// The program failed.
    #[error("{path} ended with {status}")]
    Failed {
        /// Which.
        path: PathBuf,
        /// As the system says it.
        status: String,
    },
}

/// Reads the folder: facts by name, and what could not be read. Takes as long as its programs do, at most 5 s each. A folder
/// that is not there has no facts.
#[must_use]
pub fn read(folder: &Path) -> (Map<String, Value>, Vec<FolderError>) {
    let (mut facts, mut faults) = (Map::new(), Vec::new());
    let listed =
        fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>());
    let mut paths = match listed {
        Ok(paths) => paths,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return (facts, faults),
        Err(source) => return (facts, vec![FolderError::Folder { path: folder.to_owned(), source }]),
    };
    paths.sort();
    if paths.len() > ENTRIES_MAX {
        faults.push(FolderError::TooMany { path: folder.to_owned() });
    }
    for path in paths.into_iter().take(ENTRIES_MAX) {
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).filter(|name| !name.starts_with('.')) else {
            continue;
        };
        match entry(&path) {
            Ok(Some(value)) => drop(facts.insert(name.to_owned(), value)),
            Ok(None) => {}
            Err(fault) => faults.push(fault),
        }
    }
    (facts, faults)
}

/// What one entry says; nothing for what is neither a program nor of a known kind.
fn entry(path: &Path) -> Result<Option<Value>, FolderError> {
    let unreadable = |source| FolderError::Unreadable { path: path.to_owned(), source };
    let about = fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() {
        return Ok(None);
    }
    if about.permissions().mode() & 0o111 != 0 {
        let output = run(path)?;
        return json(path, &output).map(Some);
    }
    let kind = path.extension().and_then(|extension| extension.to_str());
    if !matches!(kind, Some("json" | "toml")) {
        return Ok(None);
    }
    let text = text(path, File::open(path).map_err(unreadable)?)?;
    match kind {
        Some("toml") => {
            let syntax = |reason: String| FolderError::Syntax { path: path.to_owned(), reason };
            Figment::from(Toml::string(&text)).extract::<Value>().map(Some).map_err(|error| syntax(error.to_string()))
        }
        _ => json(path, &text).map(Some),
    }
}

fn json(path: &Path, text: &str) -> Result<Value, FolderError> {
    serde_json::from_str(text).map_err(|error| FolderError::Syntax { path: path.to_owned(), reason: error.to_string() })
}

fn text(path: &Path, file: impl Read) -> Result<String, FolderError> {
    let mut text = String::new();
    let read = file.take(BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|source| FolderError::Unreadable { path: path.to_owned(), source })?;
    if text.len() as u64 > BYTES_MAX {
        return Err(FolderError::TooLarge { path: path.to_owned() });
    }
    Ok(text)
}

/// Runs a program to its end and gives what it printed. It prints into a file, so that nothing waits for it.
fn run(path: &Path) -> Result<String, FolderError> {
    let unreadable = |source| FolderError::Unreadable { path: path.to_owned(), source };
    let mut output = File::from(memfd_create("fact", MemfdFlags::CLOEXEC).map_err(|error| unreadable(error.into()))?);
    let mut child = Command::new(path)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(unreadable)?)
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(unreadable)?;
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
    let deadline = Instant::now() + RUN_MAX;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => break,
            Ok(Some(status)) => return Err(FolderError::Failed { path: path.to_owned(), status: status.to_string() }),
            // Whoever collects this process's orphans was first; what it printed must speak for itself.
            Err(_) => break,
            Ok(None) if Instant::now() >= deadline => {
                // It may end in this very moment.
                let _ = killpg(group, Signal::SIGKILL);
                drop(child.wait());
                return Err(FolderError::Slow { path: path.to_owned() });
            }
            Ok(None) => std::thread::sleep(LOOK_EVERY),
        }
    }
    output.rewind().map_err(unreadable)?;
    text(path, output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn folder(files: &[(&str, &str, u32)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content, mode) in files {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        folder
    }

    #[test]
    fn files_and_programs_become_facts_under_their_names() {
        let folder = folder(&[
            ("rack.json", r#"{"row": 4}"#, 0o644),
            ("site.toml", "name = \"north\"\n", 0o644),
            ("load", "#!/bin/sh\necho '{\"cores\": '$((1 + 1))'}'\n", 0o755),
            ("README", "not a fact", 0o644),
            (".hidden.json", "1", 0o644),
        ]);
        let (facts, faults) = read(folder.path());
        assert!(faults.is_empty(), "{faults:?}");
        assert_eq!(Value::Object(facts), json!({"rack": {"row": 4}, "site": {"name": "north"}, "load": {"cores": 2}}));
    }

    #[test]
    fn what_is_wrong_is_named_and_the_rest_counts() {
        let large = format!("\"{}\"", "x".repeat(70_000));
        let folder = folder(&[
            ("bad.json", "{", 0o644),
            ("fails", "#!/bin/sh\nexit 3\n", 0o755),
            ("good.json", "true", 0o644),
            ("large.json", &large, 0o644),
            ("rubbish", "#!/bin/sh\necho hello\n", 0o755),
        ]);
        let (facts, faults) = read(folder.path());
        assert_eq!(Value::Object(facts), json!({"good": true}));
        let told: Vec<_> = faults.iter().map(|fault| fault.to_string().replace(folder.path().to_str().unwrap(), "")).collect();
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told[0].starts_with("/bad.json is not understood"), "{told:?}");
        assert_eq!(told[1], "/fails ended with exit status: 3");
        assert_eq!(told[2], "/large.json gives more than 65536 bytes");
        assert!(told[3].starts_with("/rubbish is not understood"), "{told:?}");
    }

    #[test]
    fn a_program_that_does_not_end_is_ended_with_all_that_it_started() {
        let folder = folder(&[("hangs", "#!/bin/sh\nsleep 600 &\nwait\n", 0o755)]);
        let began = Instant::now();
        let (facts, faults) = read(folder.path());
        assert!(facts.is_empty());
        assert!(matches!(&faults[..], [FolderError::Slow { .. }]), "{faults:?}");
        assert!(began.elapsed() < RUN_MAX * 3);
    }

    #[test]
    fn no_folder_means_no_facts() {
        let (facts, faults) = read(Path::new("/nonexistent/facts.d"));
        assert!(facts.is_empty() && faults.is_empty());
    }
}
