//! Where a file lies, checked: nothing that was parsed here leads out of its tenant's folder.

use std::fmt;
use std::path::{Path, PathBuf};

use conductor_model::TenantName;
use thiserror::Error;

/// Longest segment of a path in bytes: what file systems take.
const SEGMENT_BYTES_MAX: usize = 255;
/// Longest path in bytes.
const PATH_BYTES_MAX: usize = 2_048;
/// Most segments in a path.
const PATH_DEPTH_MAX: usize = 32;

/// Why a text is not a file's path.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// The area is no area's name.
    #[error("area {area:?} is not valid: an area is 1 to 64 letters, digits, '-' and '_'")]
    Area {
        /// As given.
        area: String,
    },
    /// A segment is empty, `.`, `..`, too long or has a character that no name may have.
    #[error("path {path:?}: segment {segment:?} {why}")]
    Segment {
        /// The whole path.
        path: String,
        /// The segment.
        segment: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Too long or too deep.
    #[error(
        "the path is {length} bytes long and {depth} folders deep; at most {PATH_BYTES_MAX} and {PATH_DEPTH_MAX} are allowed"
    )]
    TooLong {
        /// Bytes.
        length: usize,
        /// Segments.
        depth: usize,
    },
}

/// Area, tenant and path of a file or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileKey {
    area: String,
    tenant: TenantName,
    path: String,
}

impl FileKey {
    /// Checks a path as it came, already percent-decoded.
    ///
    /// # Errors
    /// [`KeyError`] says which part is wrong and why.
    pub fn parse(area: &str, tenant: &TenantName, path: &str) -> Result<Self, KeyError> {
        let area_is_fine = (1..=64).contains(&area.len())
            && area.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !area_is_fine {
            return Err(KeyError::Area { area: area.to_owned() });
        }
        let depth = path.split('/').count();
        if path.len() > PATH_BYTES_MAX || depth > PATH_DEPTH_MAX {
            return Err(KeyError::TooLong { length: path.len(), depth });
        }
        for segment in path.split('/') {
            if let Some(why) = wrong_with(segment) {
                return Err(KeyError::Segment { path: path.to_owned(), segment: segment.to_owned(), why });
            }
        }
        Ok(Self { area: area.to_owned(), tenant: tenant.clone(), path: path.to_owned() })
    }

    /// The place below a root.
    pub(super) fn below(&self, root: &Path) -> PathBuf {
        self.tenant_folder(root).join(&self.path)
    }

    /// The folder of the key's tenant below a root: never removed.
    pub(super) fn tenant_folder(&self, root: &Path) -> PathBuf {
        root.join(&self.area).join(self.tenant.as_str())
    }
}

impl fmt::Display for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/resources/{}/{}/{}", self.area, self.tenant, self.path)
    }
}

fn wrong_with(segment: &str) -> Option<&'static str> {
    if segment.is_empty() {
        Some("is empty; leave out doubled, leading and trailing slashes")
    } else if matches!(segment, "." | "..") {
        Some("is not allowed: paths do not go up")
    } else if segment.len() > SEGMENT_BYTES_MAX {
        Some("is longer than 255 bytes")
    } else if segment.chars().any(char::is_control) {
        Some("has a control character")
    } else if segment.contains('\\') {
        Some("has a backslash")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(area: &str, path: &str) -> Result<FileKey, KeyError> {
        FileKey::parse(area, &TenantName::default_tenant(), path)
    }

    #[test]
    fn a_plain_path_lies_in_its_tenants_folder() {
        let key = parse("blobs", "site/v1.0/site.tar.gz").unwrap();
        assert_eq!(key.below(Path::new("/x")), Path::new("/x/blobs/default_tenant/site/v1.0/site.tar.gz"));
    }

    #[test]
    fn nothing_leads_out() {
        for path in ["..", "a/../b", "a/..", "", "/etc/passwd", "a//b", "a/", ".", "a\0b", "a\\..\\b", "a\nb"] {
            assert!(parse("blobs", path).is_err(), "{path:?}");
        }
        for area in ["", "..", "a/b", "a.b", &"x".repeat(65)] {
            assert!(parse(area, "f").is_err(), "{area:?}");
        }
    }

    #[test]
    fn length_and_depth_are_bounded() {
        assert!(parse("blobs", &"x".repeat(256)).is_err());
        assert!(parse("blobs", &vec!["d"; 33].join("/")).is_err());
        assert!(parse("blobs", &vec!["x".repeat(200); 12].join("/")).is_err());
        assert!(parse("blobs", &vec!["d"; 32].join("/")).is_ok());
    }

    #[test]
    fn names_that_only_look_dangerous_are_fine() {
        for path in ["...", "a..b", ".hidden", "größe.txt", "a b", "~", "-rf"] {
            assert!(parse("blobs", path).is_ok(), "{path:?}");
        }
    }
}
