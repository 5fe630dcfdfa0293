//! Walking the repository's Rust files.

use std::fs;
use std::path::Path;

use crate::cargo::root;

/// Folders at the top that hold Rust code. This crate names the forbidden words itself.
const FOLDERS: &[&str] = &["agent", "cli", "manager", "shared", "tests"];

/// Shows each line of each Rust file: path from the root, number from 1, text.
pub fn each_line(look: &mut dyn FnMut(&str, usize, &str)) -> Result<(), String> {
    FOLDERS.iter().try_for_each(|folder| walk(&root().join(folder), folder, look))
}

fn walk(dir: &Path, name: &str, look: &mut dyn FnMut(&str, usize, &str)) -> Result<(), String> {
    let failed = |error| format!("{name} cannot be read: {error}");
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some(file) = path.file_name().and_then(|file| file.to_str()) else { continue };
        let name = format!("{name}/{file}");
        if path.is_dir() {
            walk(&path, &name, look)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).map_err(|error| format!("{name} cannot be read: {error}"))?;
            for (index, line) in text.lines().enumerate() {
                look(&name, index + 1, line);
            }
        }
    }
    Ok(())
}
