//! Files of tasks that come from the manager or go there. The agent has the bytes, the runner has the files: it opens them as
//! the user whose tasks they are.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy};

/// A file, and which way its bytes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transfer {
    /// They come from the agent.
    Into(PathBuf),
    /// They go to the agent.
    From(PathBuf),
}

impl Transfer {
    /// Moves the bytes: until the other end has no more, or until the file has no more.
    ///
    /// # Errors
    /// When the file cannot be opened, read or written, or the other end is gone.
    pub async fn run(
        &self,
        ask: u64,
        mut read: impl AsyncRead + Unpin,
        write: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        match self {
            Self::Into(target) => {
                let mut file = File::create(beside(target, ask)).await?;
                copy(&mut read, &mut file).await?;
                file.flush().await
            }
            Self::From(source) => {
                let mut file = File::open(source).await?;
                copy(&mut file, write).await?;
                write.shutdown().await
            }
        }
    }

    /// The question is answered: what came gets its name, or goes.
    ///
    /// # Errors
    /// What the agent says against it, and when the file cannot be given its name.
    pub fn end(&self, ask: u64, answer: Result<Value, String>) -> Result<Value, String> {
        let Self::Into(target) = self else { return answer };
        let beside = beside(target, ask);
        match answer {
            Ok(answer) => match fs::rename(&beside, target) {
                Ok(()) => Ok(answer),
                Err(error) => Err(format!("{} cannot be written: {error}", target.display())),
            },
            Err(reason) => {
                // It may never have been made.
                let _ = fs::remove_file(&beside);
                Err(reason)
            }
        }
    }
}

/// Where bytes are written that may yet turn out to be the wrong ones.
fn beside(target: &Path, ask: u64) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(target.file_name().unwrap_or_default());
    name.push(format!(".{ask}.part"));
    target.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_thread<F: Future>(story: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(story)
    }

    #[test]
    fn what_came_has_its_name_only_when_it_is_the_right_thing() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("site.tar");
        fs::write(&target, "old").unwrap();
        let into = Transfer::Into(target.clone());
        on_a_thread(into.run(1, &b"damaged"[..], &mut Vec::new())).unwrap();
        assert_eq!(into.end(1, Err("another checksum".to_owned())), Err("another checksum".to_owned()));
        assert_eq!(fs::read(&target).unwrap(), b"old");
        on_a_thread(into.run(2, &b"new"[..], &mut Vec::new())).unwrap();
        assert_eq!(into.end(2, Ok(Value::Null)), Ok(Value::Null));
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_goes_is_sent_whole() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("report");
        fs::write(&source, vec![7; 300_000]).unwrap();
        let mut sent = Vec::new();
        on_a_thread(Transfer::From(source).run(1, tokio::io::empty(), &mut sent)).unwrap();
        assert_eq!(sent, vec![7; 300_000]);
    }
}
