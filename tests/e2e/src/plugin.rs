//! Plugins as archives.

use std::io::Write;
use std::path::Path;
use std::{fs, io};

use flate2::Compression;
use flate2::write::GzEncoder;

/// The archive (`.tar.gz`) of a plugin's folder.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn pack(folder: &Path) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    archive.append_dir_all(".", folder).unwrap_or_else(|error| panic!("{} cannot be packed: {error}", folder.display()));
    finish(archive).expect("memory can be written to")
}

/// The archive of a plugin that exists only here: names, contents, and whether they may be executed.
///
/// # Panics
/// When a name does not fit into an archive.
#[must_use]
pub fn pack_files(files: &[(&str, &str, bool)]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder can be made");
    for (name, content, executable) in files {
        let path = folder.path().join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("a folder can be made");
        }
        let mut file = fs::File::create(&path).expect("a file can be made");
        file.write_all(content.as_bytes()).expect("a file can be written");
        if *executable {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            file.set_permissions(mode).expect("a file can be made executable");
        }
    }
    pack(folder.path())
}

fn finish(archive: tar::Builder<GzEncoder<Vec<u8>>>) -> io::Result<Vec<u8>> {
    archive.into_inner()?.finish()
}
