//! One file of the journal.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::JournalError;
use super::frame::{self, HEADER_BYTES, Header};

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// An open file with its header, if it has a valid one.
#[derive(Debug)]
pub(super) struct Segment {
    path: PathBuf,
    file: File,
    pub header: Option<Header>,
    /// Where the next frame goes.
    pub end: u64,
}

impl Segment {
    /// Opens the file, making it if it is not there. Nothing is read but the header.
    pub(super) fn open(path: &Path) -> Result<Self, JournalError> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|source| failed("open", path, source))?;
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::Read::take(&mut file, 512), &mut bytes)
            .map_err(|source| failed("read", path, source))?;
        Ok(Self { path: path.to_owned(), file, header: Header::decode(&bytes), end: HEADER_BYTES })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The generation that the header says, 0 without one.
    pub(super) fn generation(&self) -> u64 {
        self.header.as_ref().map_or(0, |header| header.generation)
    }

    /// Reads all frames up to the end of the log and leaves [`Self::end`] there.
    pub(super) fn read(&mut self, mut each: impl FnMut(Vec<u8>)) -> Result<(), JournalError> {
        let generation = self.generation();
        let path = self.path.clone();
        let error = |source| failed("read", &path, source);
        self.file.seek(SeekFrom::Start(HEADER_BYTES)).map_err(error)?;
        let mut reader = BufReader::with_capacity(64 * 1024, &self.file);
        self.end = HEADER_BYTES;
        while let Some(payload) = frame::read_frame(&mut reader, generation).map_err(error)? {
            self.end += frame::frame_bytes(&payload);
            each(payload);
        }
        Ok(())
    }

    /// Gives the file `bytes` bytes of zeros on disk, unless it has them already.
    pub(super) fn allocate(&self, bytes: u64) -> std::io::Result<()> {
        let mut at = self.file.metadata()?.len();
        while at < bytes {
            let count = usize::try_from(bytes - at).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
            self.file.write_all_at(&ZEROS[..count], at)?;
            at += count as u64;
        }
        self.file.sync_all()
    }

    /// Writes `bytes` at the end and, with `sync`, waits until the disk has them. The end moves only when all went well.
    pub(super) fn append(&mut self, bytes: &[u8], sync: bool) -> std::io::Result<()> {
        self.file.write_all_at(bytes, self.end)?;
        if sync {
            self.file.sync_data()?;
        }
        self.end += bytes.len() as u64;
        Ok(())
    }

    /// Writes the header and waits until the disk has it: the file is in use from here on.
    pub(super) fn commit_header(&mut self, header: Header) -> std::io::Result<()> {
        self.file.write_all_at(&header.encode(), 0)?;
        self.file.sync_data()?;
        self.header = Some(header);
        Ok(())
    }

    /// Takes the folder's lock through this file; `false` when another process has it.
    pub(super) fn lock(&self) -> std::io::Result<bool> {
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(std::fs::TryLockError::WouldBlock) => Ok(false),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

pub(super) fn failed(step: &'static str, path: &Path, source: std::io::Error) -> JournalError {
    JournalError::File { step, path: path.to_owned(), source }
}
