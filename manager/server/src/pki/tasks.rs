//! The key that tasks are signed with.

use std::path::Path;

use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};

use super::{PkiError, files};

/// Signs tasks. Agents are given the public half when they are enrolled and run nothing that it does not fit.
#[derive(Debug)]
pub struct TaskSigner {
    key: Ed25519KeyPair,
}

impl TaskSigner {
    /// Opens `task.key` in `dir`, or makes it when there is none yet.
    ///
    /// # Errors
    /// When the file cannot be read, written or used.
    pub fn open_or_create(dir: &Path) -> Result<Self, PkiError> {
        files::make_dir(dir)?;
        let path = dir.join("task.key");
        let unusable = |message: String| PkiError::Unusable { path: path.clone(), message };
        let text = match files::read(&path)? {
            Some(text) => text,
            None => {
                let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
                    .map_err(|_| unusable("no random numbers for a key".to_owned()))?;
                let text = hex::encode(document.as_ref());
                files::write(&path, &text, 0o600)?;
                text
            }
        };
        let bytes = hex::decode(text.trim()).map_err(|error| unusable(error.to_string()))?;
        let key = Ed25519KeyPair::from_pkcs8(&bytes).map_err(|error| unusable(error.to_string()))?;
        Ok(Self { key })
    }

    /// The key that tasks are verified with, in hexadecimal.
    #[must_use]
    pub fn verification_key(&self) -> String {
        hex::encode(self.key.public_key().as_ref())
    }

    /// The signature of `text`, in hexadecimal.
    #[must_use]
    pub fn sign(&self, text: &[u8]) -> String {
        hex::encode(self.key.sign(text).as_ref())
    }
}
