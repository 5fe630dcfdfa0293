//! The archive's bytes: hashed as they come in, decompressed, and bounded on both sides.

use std::error::Error;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use conductor_model::PluginDigest;
use flate2::bufread::MultiGzDecoder;

use crate::digest::Hashing;
use crate::media::MediaType;

/// Bytes taken from the archive at once.
const BUFFER_BYTES: usize = 64 * 1024;
/// Largest zstd window as a power of two: 16 MiB, more than `zstd -19` uses. An agent has little memory.
const ZSTD_WINDOW_LOG_MAX: u32 = 24;

/// Says which bound was passed, through layers that know only `io::Error`.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) what: &'static str,
    pub(crate) limit: u64,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {} {}", self.limit, self.what)
    }
}

impl Error for Passed {}

/// Fails once more than `limit` bytes came through.
pub(crate) struct Bounded<R> {
    inner: R,
    left: u64,
    what: &'static str,
    limit: u64,
}

impl<R> Bounded<R> {
    pub(crate) fn new(inner: R, limit: u64, what: &'static str) -> Self {
        Self { inner, left: limit, what, limit }
    }

    pub(crate) fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other(Passed { what: self.what, limit: self.limit }))?;
        Ok(count)
    }
}

type Raw<R> = BufReader<Bounded<Hashing<R>>>;

/// The decompressed stream, which gives the archive's digest when it was read to its end.
pub(crate) enum Source<R: Read> {
    Gzip(MultiGzDecoder<Raw<R>>),
    Zstd(zstd::stream::read::Decoder<'static, Raw<R>>),
}

impl<R: Read> Source<R> {
    pub(crate) fn open(archive: R, media_type: MediaType, archive_bytes_max: u64) -> io::Result<Self> {
        let bounded = Bounded::new(Hashing::new(archive), archive_bytes_max, "bytes");
        let raw = BufReader::with_capacity(BUFFER_BYTES, bounded);
        Ok(match media_type {
            MediaType::Gzip => Self::Gzip(MultiGzDecoder::new(raw)),
            MediaType::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(raw)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Self::Zstd(decoder)
            }
        })
    }

    /// Digest and length of the whole archive, also of what lies behind its compressed part.
    pub(crate) fn finish(self) -> io::Result<(PluginDigest, u64)> {
        let mut raw = match self {
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Zstd(decoder) => decoder.finish(),
        };
        loop {
            let count = raw.fill_buf()?.len();
            if count == 0 {
                return raw.into_inner().inner.finish();
            }
            raw.consume(count);
        }
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}
