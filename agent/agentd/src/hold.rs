//! The word of this host's owner that its agent is to be given nothing new: a file in the agent's data folder, so that it
//! holds over restarts. The agent tells the manager with its next lease; what it has goes on.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Longest reason in characters.
pub const REASON_CHARS_MAX: usize = 200;
/// What is told where the owner gave no reason.
const NO_REASON: &str = "its host's owner drains it";

fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("drain")
}

/// Why nothing new is wanted; `None` where nobody said so.
#[must_use]
pub fn reason(data_dir: &Path) -> Option<String> {
    let text = match fs::read(file(data_dir)) {
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
    fs::write(file(data_dir), reason)
}

/// Ends it. Whether it had begun.
///
/// # Errors
/// When the file cannot be removed.
pub fn end(data_dir: &Path) -> io::Result<bool> {
    match fs::remove_file(file(data_dir)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
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
}
