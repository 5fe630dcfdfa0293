//! Frames and headers as bytes.

use conductor_agent_core::{Record, TaskKey};
use conductor_model::TaskId;

use super::crc::Crc;

/// Bytes that are kept for the header.
pub const HEADER_BYTES: u64 = 4096;
const MAGIC: &[u8; 8] = b"CNDJRNL1";
const FRAME_HEAD_BYTES: usize = 8;
/// First byte of a payload: a record as JSON.
const KIND_JSON: u8 = 1;
/// First byte of a payload: keys of reported tasks, 20 bytes each.
const KIND_REPORTED: u8 = 2;
const KEY_BYTES: usize = 20;

/// What stands at the beginning of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Counts the uses of both files: the higher one is in use.
    pub generation: u64,
    /// Size of the file.
    pub file_bytes: u64,
    /// Names the journal.
    pub incarnation: String,
}

impl Header {
    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        bytes.extend_from_slice(&self.file_bytes.to_le_bytes());
        bytes.push(u8::try_from(self.incarnation.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(self.incarnation.as_bytes());
        let crc = Crc::new().add(&bytes).value();
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// What the first bytes of a file say; `None` where they are no header.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_at_checked(8)?;
        let (generation, rest) = rest.split_at_checked(8)?;
        let (file_bytes, rest) = rest.split_at_checked(8)?;
        let (length, rest) = rest.split_first()?;
        let (incarnation, rest) = rest.split_at_checked(usize::from(*length))?;
        let crc = rest.first_chunk::<4>()?;
        let covered = bytes.get(..25 + usize::from(*length))?;
        if magic != MAGIC || Crc::new().add(covered).value() != u32::from_le_bytes(*crc) {
            return None;
        }
        Some(Self {
            generation: u64::from_le_bytes(*generation.first_chunk()?),
            file_bytes: u64::from_le_bytes(*file_bytes.first_chunk()?),
            incarnation: String::from_utf8(incarnation.to_vec()).ok()?,
        })
    }
}

/// Appends a payload as a frame of `generation`.
pub fn put_frame(out: &mut Vec<u8>, generation: u64, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&frame_crc(generation, length, payload).to_le_bytes());
    out.extend_from_slice(payload);
}

fn frame_crc(generation: u64, length: [u8; 4], payload: &[u8]) -> u32 {
    Crc::new().add(&generation.to_le_bytes()).add(&length).add(payload).value()
}

/// Bytes that a payload takes as a frame.
#[must_use]
pub fn frame_bytes(payload: &[u8]) -> u64 {
    (FRAME_HEAD_BYTES + payload.len()) as u64
}

/// Reads the next frame; `None` at the end of the log, which a torn or foreign frame is as well.
///
/// # Errors
/// Of reading.
pub fn read_frame(from: &mut impl std::io::Read, generation: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut head = [0_u8; FRAME_HEAD_BYTES];
    if !fill(from, &mut head)? {
        return Ok(None);
    }
    let (length, crc) = ([head[0], head[1], head[2], head[3]], [head[4], head[5], head[6], head[7]]);
    let bytes = u32::from_le_bytes(length) as usize;
    if bytes == 0 || bytes > super::RECORD_BYTES_MAX {
        return Ok(None);
    }
    let mut payload = vec![0; bytes];
    if !fill(from, &mut payload)? || frame_crc(generation, length, &payload) != u32::from_le_bytes(crc) {
        return Ok(None);
    }
    Ok(Some(payload))
}

/// Fills `bytes`; `false` where the file ends before.
fn fill(from: &mut impl std::io::Read, bytes: &mut [u8]) -> std::io::Result<bool> {
    match from.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// A record as a payload.
#[must_use]
pub fn encode(record: &Record) -> Vec<u8> {
    match record {
        Record::Reported { keys } => encode_reported(keys.iter()),
        Record::Received(_) | Record::Starting { .. } | Record::Running { .. } | Record::Rerun { .. } | Record::Done { .. } => {
            let mut payload = Vec::with_capacity(256);
            payload.push(KIND_JSON);
            if let Err(error) = serde_json::to_writer(&mut payload, record) {
                tracing::error!(%error, "a journal record cannot be written as JSON");
            }
            payload
        }
    }
}

/// Keys of reported tasks as a payload.
#[must_use]
pub fn encode_reported<'a>(keys: impl Iterator<Item = &'a TaskKey>) -> Vec<u8> {
    let mut payload = vec![KIND_REPORTED];
    for key in keys {
        payload.extend_from_slice(key.task_id.as_bytes());
        payload.extend_from_slice(&key.dispatch.to_le_bytes());
    }
    payload
}

/// A payload as a record; `None` where it is of no known form.
#[must_use]
pub fn decode(payload: &[u8]) -> Option<Record> {
    match payload.split_first()? {
        (&KIND_JSON, json) => {
            serde_json::from_slice(json).map_err(|error| tracing::error!(%error, "a journal record cannot be read")).ok()
        }
        (&KIND_REPORTED, keys) => {
            let keys = keys.chunks_exact(KEY_BYTES).filter_map(|bytes| {
                let (id, dispatch) = bytes.split_at_checked(16)?;
                Some(TaskKey { task_id: TaskId::from_slice(id)?, dispatch: u32::from_le_bytes(*dispatch.first_chunk()?) })
            });
            Some(Record::Reported { keys: keys.collect() })
        }
        _ => None,
    }
}
