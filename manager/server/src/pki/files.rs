//! Reading and writing keys and certificates.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use super::PkiError;

/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 64 * 1024;

fn failed(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> PkiError {
    let path = path.to_owned();
    move |source| PkiError::File { action, path, source }
}

/// Makes the folder, which others may enter and not list.
pub(super) fn make_dir(dir: &Path) -> Result<(), PkiError> {
    fs::DirBuilder::new().recursive(true).mode(0o711).create(dir).map_err(failed("make", dir))
}

/// A file's text; `None` when it is not there.
pub(super) fn read(path: &Path) -> Result<Option<String>, PkiError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
        Ok(metadata) if metadata.len() > FILE_BYTES_MAX => {
            Err(PkiError::Unusable { path: path.to_owned(), message: format!("it is larger than {FILE_BYTES_MAX} bytes") })
        }
        Ok(_) => fs::read_to_string(path).map(Some).map_err(failed("read", path)),
    }
}

/// Writes a file so that it is whole or absent, with these rights from the beginning.
pub(super) fn write(path: &Path, text: &str, mode: u32) -> Result<(), PkiError> {
    let dir = path.parent().unwrap_or_else(|| Path::new("."));
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        fs::File::open(dir)?.sync_all()
    };
    write().map_err(failed("write", path))
}
