//! The word of this host's owner that its agent is to be given nothing new: a file in the agent's data folder, so that it
//! holds over restarts. The agent tells the manager with its next lease; what it has goes on.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use crate::sys::folder::Folder;

/// Longest reason in characters.
pub const REASON_CHARS_MAX: usize = 200;
/// What is told where the owner gave no reason.
const NO_REASON: &str = "its host's owner drains it";

/// The file, in the agent's data folder.
const FILE: &str = "drain";

/// Why nothing new is wanted; `None` where nobody said so.
#[must_use]
pub fn reason(data_dir: &Path) -> Option<String> {
    let text = match fs::read(data_dir.join(FILE)) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).trim().chars().take(REASON_CHARS_MAX).collect::<String>(),
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        // It is there: what it says matters less than that it is.
        Err(_) => String::new(),
    };
    Some(if text.is_empty() { NO_REASON.to_owned() } else { format!("{NO_REASON}: {text}") })
}

/// Begins it.
///
/// # Errors
/// When the file cannot be written.
pub fn begin(data_dir: &Path, reason: &str) -> io::Result<()> {
    Folder::open(data_dir)?.write(FILE, reason, 0o644)
}

/// Ends it. Whether it had begun.
///
/// # Errors
/// When the file cannot be removed.
pub fn end(data_dir: &Path) -> io::Result<bool> {
    Folder::open(data_dir)?.remove(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_from_its_beginning_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(reason(dir.path()), None);
        begin(dir.path(), "new disk\n").unwrap();
        assert_eq!(reason(dir.path()).as_deref(), Some("its host's owner drains it: new disk"));
        begin(dir.path(), "").unwrap();
        assert_eq!(reason(dir.path()).as_deref(), Some(NO_REASON));
        assert!(end(dir.path()).unwrap() && !end(dir.path()).unwrap());
        assert_eq!(reason(dir.path()), None);
    }

    #[test]
    fn what_a_plugin_has_put_in_its_place_leads_nowhere() {
        let (elsewhere, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let precious = elsewhere.path().join("passwd");
        fs::write(&precious, "precious").unwrap();
        std::os::unix::fs::symlink(&precious, dir.path().join(FILE)).unwrap();
        begin(dir.path(), "new disk").unwrap();
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
        assert_eq!(reason(dir.path()).as_deref(), Some("its host's owner drains it: new disk"));
    }
}
