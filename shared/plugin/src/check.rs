//! Checking a plugin's directory.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use conductor_model::Violation;
use conductor_model::limits::PLUGIN_MANIFEST_BYTES_MAX;

use crate::archive::Kind;
use crate::manifest::{MANIFEST_FILE, Manifest};

/// Reads the manifest of the plugin in `dir` and looks whether its programs are there and executable.
///
/// # Errors
/// Everything that is wrong, each with its place.
pub fn check_dir(dir: &Path) -> Result<Manifest, Vec<Violation>> {
    let path = dir.join(MANIFEST_FILE);
    let unreadable = |error: std::io::Error| {
        vec![Violation::new(MANIFEST_FILE, format!("cannot be read: {error}"), Some(path.display().to_string()))]
    };
    let file = fs::File::open(&path).map_err(unreadable)?;
    let mut text = Vec::new();
    file.take(PLUGIN_MANIFEST_BYTES_MAX + 1).read_to_end(&mut text).map_err(unreadable)?;
    let manifest = Manifest::parse(&text).map_err(crate::manifest::ManifestError::into_violations)?;
    let violations = check_programs(&manifest, |file| kind_on_disk(&dir.join(file)));
    if violations.is_empty() { Ok(manifest) } else { Err(violations) }
}

/// What is wrong with the programs that a manifest names, when `kind` says what lies at a path.
pub(crate) fn check_programs(manifest: &Manifest, kind: impl Fn(&Path) -> Option<Kind>) -> Vec<Violation> {
    let complain = |(path, file): (String, &str)| {
        let plain = crate::path::relative_inside(file).ok()?;
        let message = match kind(&plain) {
            Some(Kind::File { executable: true }) => return None,
            Some(Kind::File { executable: false }) => "is not executable",
            Some(Kind::Folder) => "is a folder; expected an executable file",
            Some(Kind::Link) => "is a link; expected the executable file itself",
            None => "is not in the plugin",
        };
        Some(Violation::new(path, format!("{file} {message}"), Some(file.to_owned())))
    };
    manifest.programs().into_iter().filter_map(complain).collect()
}

fn kind_on_disk(path: &Path) -> Option<Kind> {
    let metadata = fs::symlink_metadata(path).ok()?;
    let executable = metadata.permissions().mode() & 0o111 != 0;
    Some(match metadata.file_type() {
        kind if kind.is_dir() => Kind::Folder,
        kind if kind.is_symlink() => Kind::Link,
        _ => Kind::File { executable },
    })
}
