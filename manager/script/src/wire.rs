//! What the owner and its helper process say to each other: a length of four bytes, then JSON.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::{Language, Limits, ScriptError};

/// Largest frame in bytes: an input or a result with room for what is around it.
const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A script to evaluate, or only to read.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {
    /// What it is written in.
    pub language: Language,
    /// The script.
    pub source: String,
    /// Say only whether the source can be read.
    pub only_check: bool,
    /// What it is given, as JSON.
    pub input: Box<RawValue>,
    /// What it may use.
    pub limits: Limits,
}

/// What came of it.
pub type Reply = Result<Value, ScriptError>;

/// Writes one frame.
///
/// # Errors
/// When the message is longer than a frame may be, or cannot be written.
pub fn write(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = frame.len() - 4;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "more than fits into one message"));
    }
    let length = u32::try_from(length).map_err(io::Error::other)?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    to.write_all(&frame)
}

/// Reads one frame; `None` = the other side closed between two.
///
/// # Errors
/// When the frame is too long, breaks off or is no such message.
pub fn read<T: for<'a> Deserialize<'a>>(from: &mut impl Read) -> io::Result<Option<T>> {
    let mut length = [0; 4];
    if from.read(&mut length[..1])? == 0 {
        return Ok(None);
    }
    from.read_exact(&mut length[1..])?;
    let length = u32::from_be_bytes(length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a message that is too long"));
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(Some(serde_json::from_slice(&body)?))
}
