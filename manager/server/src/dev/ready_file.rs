//! The file that tells others where the stack is.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::Serialize;

use super::DevError;

/// What it says.
#[derive(Debug, Serialize)]
pub(super) struct ReadyFile {
    /// Base URL of the REST API.
    pub(super) api: String,
    /// The admin token.
    pub(super) token: String,
    /// The broker's URI.
    pub(super) amqp: String,
    /// Ids of the agents.
    pub(super) agents: Vec<String>,
    /// This process.
    pub(super) pid: u32,
}

impl ReadyFile {
    /// Writes the file in one step: who finds it finds all of it.
    pub(super) fn write(&self, path: &Path) -> Result<(), DevError> {
        let failed = || DevError::prepare(path);
        let mut text = serde_json::to_vec_pretty(self).map_err(io::Error::other).map_err(failed())?;
        text.push(b'\n');
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        fs::create_dir_all(parent).map_err(failed())?;
        let beside = path.with_added_extension(format!("{}.tmp", self.pid));
        // It holds a token.
        let file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&beside);
        file.and_then(|mut file| file.write_all(&text)).map_err(failed())?;
        fs::rename(&beside, path).map_err(failed())
    }
}

/// Removes a file that an earlier stack left or that is no longer true.
pub(super) fn remove(path: &Path) -> Result<(), DevError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DevError::Prepare { path: path.to_owned(), source: error })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_whole_private_and_alone() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("sub/ready.json");
        let ready = ReadyFile {
            api: "http://127.0.0.1:1".to_owned(),
            token: "t".to_owned(),
            amqp: "amqp://x".to_owned(),
            agents: vec!["agent-1".to_owned()],
            pid: 7,
        };
        ready.write(&path).unwrap();
        let read: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(
            read,
            serde_json::json!({"api": "http://127.0.0.1:1", "token": "t", "amqp": "amqp://x", "agents": ["agent-1"], "pid": 7})
        );
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777, 0o600);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert!(!path.exists());
    }
}
