//! Files that a plugin wants kept.

use std::path::{Component, Path, PathBuf};

use super::job::Job;

/// Where an artifact lies, if its path stays inside the working directory and is a file.
#[must_use]
pub fn locate(work: &Path, path: &str) -> Option<PathBuf> {
    let relative = Path::new(path);
    if !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return None;
    }
    let file = work.join(relative).canonicalize().ok()?;
    (file.starts_with(work.canonicalize().ok()?) && file.is_file()).then_some(file)
}

/// Says of each artifact that was named and is not there that it is missing.
pub(super) fn note_missing(job: &Job, work: &Path) {
    let named = job.voice.said.borrow().artifacts.clone();
    for (path, _) in named {
        if locate(work, &path).is_none() {
            job.voice.say("warn", &format!("the artifact {path:?} is no file in the working directory"));
        }
    }
}
