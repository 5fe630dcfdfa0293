//! The agent's packages that the manager gives to hosts that join.

use std::path::PathBuf;

use tokio::fs::File;

use crate::config::Settings;

/// Where the manager's own package puts them.
const INSTALLED: &str = "/usr/share/conductor/packages";
/// What a package may be called: no way out of the folder.
const ENDINGS: &[&str] = &[".deb", ".rpm", ".tar.gz"];
const NAME_BYTES_MAX: usize = 100;

/// The folders that are looked through, in this order: what an operator put into the data folder goes before what was installed.
#[must_use]
pub fn folders(settings: &Settings) -> [PathBuf; 2] {
    [settings.data_dir.join("packages"), PathBuf::from(INSTALLED)]
}

/// Opens a package by its name and tells its length in bytes; `None` when there is none of that name.
pub(crate) async fn open(settings: &Settings, name: &str) -> Option<(File, u64)> {
    if !is_name(name) {
        return None;
    }
    for folder in folders(settings) {
        if let Ok(file) = File::open(folder.join(name)).await
            && let Ok(metadata) = file.metadata().await
            && metadata.is_file()
        {
            return Some((file, metadata.len()));
        }
    }
    None
}

fn is_name(name: &str) -> bool {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+' | b'~');
    name.len() <= NAME_BYTES_MAX
        && !name.starts_with('.')
        && name.bytes().all(safe)
        && ENDINGS.iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_packages_have_names() {
        for name in ["conductor-agent.deb", "conductor-agent-0.1.0-1.x86_64.tar.gz"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".deb", "../x.deb", "a/b.deb", "manager.db", "..%2fx.rpm", &format!("{}.deb", "a".repeat(100))] {
            assert!(!is_name(name), "{name}");
        }
    }
}
