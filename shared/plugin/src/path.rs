//! Paths that stay inside.

use std::path::{Component, Path, PathBuf};

/// Most folders on the way to one file of a plugin.
pub const PATH_DEPTH_MAX: usize = 32;
/// Longest path inside a plugin in bytes: leaves room for where it is unpacked below the system's 4096.
pub const PATH_BYTES_MAX: usize = 1024;
/// Longest single name in bytes: what Linux file systems take.
const COMPONENT_BYTES_MAX: usize = 255;

/// The path in its plain form (no `.`, no double slash), or why it is refused. Empty for the folder itself.
pub(crate) fn normalize(text: &str) -> Result<PathBuf, String> {
    if text.len() > PATH_BYTES_MAX {
        return Err(format!("is {} bytes long; at most {PATH_BYTES_MAX} are allowed", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err("has a control character".to_owned());
    }
    let mut plain = PathBuf::new();
    for component in Path::new(text).components() {
        match component {
            Component::Normal(name) if name.len() <= COMPONENT_BYTES_MAX => plain.push(name),
            Component::Normal(name) => {
                return Err(format!("has a name of {} bytes; at most {COMPONENT_BYTES_MAX} are allowed", name.len()));
            }
            Component::CurDir => {}
            Component::ParentDir => return Err("has '..' in it".to_owned()),
            Component::RootDir | Component::Prefix(_) => return Err("is absolute".to_owned()),
        }
    }
    let depth = plain.components().count();
    if depth > PATH_DEPTH_MAX {
        return Err(format!("lies {depth} folders deep; at most {PATH_DEPTH_MAX} are allowed"));
    }
    Ok(plain)
}

/// The path in its plain form if it names something inside the folder.
pub(crate) fn relative_inside(text: &str) -> Result<PathBuf, String> {
    let plain = normalize(text)?;
    if plain.as_os_str().is_empty() { Err("it is empty".to_owned()) } else { Ok(plain) }
}

/// Whether the link `link` (plain, relative to the root) may point to `target` without leaving the root.
///
/// `..` counts only at the target's beginning: there it climbs real folders, as nothing is ever unpacked below a link.
/// Behind a name it could climb out of wherever a link led.
pub(crate) fn check_link(link: &Path, target: &str) -> Result<(), String> {
    if target.is_empty() || target.len() > PATH_BYTES_MAX || target.chars().any(char::is_control) {
        return Err("has a target that is empty, too long or not text".to_owned());
    }
    let mut room = link.components().count().saturating_sub(1);
    let mut descended = false;
    for component in Path::new(target).components() {
        match component {
            Component::Normal(_) => descended = true,
            Component::CurDir => {}
            Component::ParentDir if descended => return Err(format!("points to {target:?}, with '..' behind a name")),
            Component::ParentDir if room == 0 => return Err(format!("points outside, to {target:?}")),
            Component::ParentDir => room -= 1,
            Component::RootDir | Component::Prefix(_) => return Err(format!("points to the absolute path {target:?}")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_forms() {
        assert_eq!(normalize("./a//b/./c"), Ok(PathBuf::from("a/b/c")));
        assert_eq!(normalize("./"), Ok(PathBuf::new()));
        for bad in ["/etc/passwd", "../x", "a/../b", "a/..", "a\0b", "a\nb"] {
            assert!(normalize(bad).is_err(), "{bad:?}");
        }
        assert!(normalize(&"a/".repeat(PATH_DEPTH_MAX)).is_ok());
        assert!(normalize(&"a/".repeat(PATH_DEPTH_MAX + 1)).is_err());
    }

    #[test]
    fn links_stay_inside() {
        for (link, target) in [("a", "b"), ("lib/a", "../b"), ("x/y/z", "../../w/v"), ("a", "./b/c")] {
            assert_eq!(check_link(Path::new(link), target), Ok(()), "{link} → {target}");
        }
        for (link, target) in
            [("a", "../b"), ("lib/a", "../../b"), ("a", "/etc"), ("x/a", "b/../../.."), ("a", "b/.."), ("a", "")]
        {
            assert!(check_link(Path::new(link), target).is_err(), "{link} → {target}");
        }
    }
}
