//! SHA-256 of what is read.

use std::io::{self, Read};

use conductor_model::PluginDigest;
use sha2::{Digest, Sha256};

/// Bytes read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// The SHA-256 and the length of all that `reader` gives.
///
/// # Errors
/// What the reader says.
pub fn digest_of(mut reader: impl Read) -> io::Result<(PluginDigest, u64)> {
    let mut hashing = Hashing::new(&mut reader);
    hashing.drain()?;
    hashing.finish()
}

/// Passes bytes on and hashes them.
pub(crate) struct Hashing<R> {
    inner: R,
    hash: Sha256,
    length: u64,
}

impl<R: Read> Hashing<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, hash: Sha256::new(), length: 0 }
    }

    /// Reads to the end.
    pub(crate) fn drain(&mut self) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK_BYTES];
        while self.read(&mut chunk)? > 0 {}
        Ok(())
    }

    /// What came through.
    pub(crate) fn finish(self) -> io::Result<(PluginDigest, u64)> {
        let digest = hex::encode(self.hash.finalize()).parse().map_err(io::Error::other)?;
        Ok((digest, self.length))
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.length += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_digest_of_abc() {
        let (digest, length) = digest_of(&b"abc"[..]).unwrap();
        assert_eq!(digest.as_str(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(length, 3);
    }
}
