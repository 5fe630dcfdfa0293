//! The two kinds of archive.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// `.tar.gz`.
    Gzip,
    /// `.tar.zst`.
    Zstd,
}

/// The text is no media type of a plugin archive.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{found:?} is no media type of a plugin archive; expected application/gzip or application/zstd")]
pub struct UnknownMediaType {
    /// What was given.
    pub found: String,
}

impl MediaType {
    /// How many bytes [`MediaType::detect`] wants to see.
    pub const MAGIC_BYTES: usize = 4;

    /// The kind by an archive's first bytes.
    #[must_use]
    pub fn detect(start: &[u8]) -> Option<Self> {
        match start {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The kind as HTTP names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "application/gzip",
            Self::Zstd => "application/zstd",
        }
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for MediaType {
    type Err = UnknownMediaType;

    /// Reads a `Content-Type`, with or without parameters.
    fn from_str(text: &str) -> Result<Self, UnknownMediaType> {
        let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/gzip" | "application/x-gzip" => Ok(Self::Gzip),
            "application/zstd" | "application/x-zstd" => Ok(Self::Zstd),
            _ => Err(UnknownMediaType { found: text.to_owned() }),
        }
    }
}
