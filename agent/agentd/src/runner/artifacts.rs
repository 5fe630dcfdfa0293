//! Files that a plugin wants kept.

use std::path::{Component, Path, PathBuf};

use conductor_model::Outcome;
use serde_json::json;

use super::ending::Ending;
use super::job::{Host, Job};

/// Stores the files that the task named, before its working directory goes. A file that cannot be stored makes a success a
/// failure.
pub(super) async fn keep(host: &Host, job: &Job, work: &Path, mut ending: Ending) -> Ending {
    let named = std::mem::take(&mut job.voice.said.borrow_mut().artifacts);
    for (path, name) in named {
        let stored = match locate(work, &path) {
            Some(file) => host.manager.store_artifact(job, &name, &file).await,
            None => Err("it is no file in the working directory".to_owned()),
        };
        match stored {
            Ok(place) => job.voice.said.borrow_mut().note_stored(json!({ "name": name, "path": place })),
            Err(reason) => {
                let reason = format!("the artifact {path:?} could not be kept: {reason}");
                job.voice.say("error", &reason);
                if matches!(ending.outcome, Outcome::Succeeded | Outcome::NotNeeded) {
                    ending.outcome = Outcome::Failed;
                    ending.reason = Some(reason);
                }
            }
        }
    }
    ending
}

/// Where an artifact lies, if its path stays inside the working directory and is a file.
fn locate(work: &Path, path: &str) -> Option<PathBuf> {
    let relative = Path::new(path);
    if !relative.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return None;
    }
    let file = work.join(relative).canonicalize().ok()?;
    (file.starts_with(work.canonicalize().ok()?) && file.is_file()).then_some(file)
}
